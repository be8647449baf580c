"""What parity scripts share: one line on stdout for each check, as tools/test reads them."""

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("MEDGPT_SHARED") or ROOT.parent / "shared")


class Skip(Exception):
    """Raised by a check that cannot run here; under CI=true that is a failure."""


def check(name):
    """Runs the decorated function at once; a check passes when it does not raise."""

    def run(function):
        try:
            function()
            print(f"ok {name}", flush=True)
        except Skip as reason:
            word = "not ok" if os.environ.get("CI") == "true" else "skip"
            print(f"{word} {name}: {reason}", flush=True)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            why = " ".join(str(error).split()) or type(error).__name__
            print(f"not ok {name}: {why}", flush=True)

    return run


def shared(path):
    """A file or folder of the shared data, or Skip where it is not."""
    found = SHARED / path
    if not found.exists():
        raise Skip(f"{path} is not in the shared data (set MEDGPT_SHARED)")
    return found


def node(script, *arguments):
    """Runs JavaScript (an ES module, in the repository root) and returns what it prints."""
    command = ["node", "--input-type=module", "--eval", script, "--", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def scratch():
    """A fresh folder that goes when it is no longer used: `with scratch() as folder:`."""
    return tempfile.TemporaryDirectory(prefix="medgpt-parity-")
