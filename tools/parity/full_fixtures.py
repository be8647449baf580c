"""The reference results that travel with the repository, made again by generate.py: equal to those committed."""

import json
import re
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file

from checks import check, scratch
from generate import FIXTURES, make

# Another kind of CPU sums in another order.
CLOSE = dict(atol=1e-5, rtol=1e-4)
# The gradient of a key bias is rounding noise, which Adam's division blows up without effect on the loss.
NOISE = re.compile(r"^curves/.*(k_proj|query_key_value)\.bias$")


def differ(ours, theirs):
    """Where two JSON values differ by more than rounding; None where they do not."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return next((f"{key}: {found}" for key in ours if (found := differ(ours[key], theirs[key]))), None)
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return next((f"[{at}] {found}" for at, pair in enumerate(zip(ours, theirs)) if (found := differ(*pair))), None)
    if isinstance(ours, float) and isinstance(theirs, float):
        return None if abs(ours - theirs) <= CLOSE["atol"] + CLOSE["rtol"] * abs(theirs) else f"{ours} and {theirs}"
    return None if ours == theirs else f"{ours!r} and {theirs!r}"


def compare(path, committed, made):
    if path.endswith(".json"):
        found = differ(json.loads((committed / path).read_text()), json.loads((made / path).read_text()))
        assert found is None, f"{path}: {found}"
        return
    ours, theirs = load_file(committed / path), load_file(made / path)
    assert ours.keys() == theirs.keys(), f"{path} has other tensors"
    for name in ours:
        close = torch.allclose(ours[name], theirs[name], **CLOSE)
        assert close or NOISE.match(f"{path}/{name}"), f"{path}: {name} differs"


@check("generate.py makes the committed reference results again")
def _():
    with scratch() as folder:
        made = Path(folder)
        make(made)
        committed, again = (json.loads((root / "manifest.json").read_text()) for root in (FIXTURES, made))
        assert committed["libraries"] == again["libraries"], f"made with {committed['libraries']}, here are {again['libraries']}"
        assert committed["cases"] == again["cases"], "the cases are others"
        assert committed["files"].keys() == again["files"].keys(), "the files are others"
        other = [path for path, digest in committed["files"].items() if again["files"][path] != digest]
        print(f"{len(committed['files']) - len(other)} files are equal byte for byte, {len(other)} differ", file=sys.stderr)
        for path in other:
            compare(path, FIXTURES, made)
