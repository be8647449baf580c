"""Python's huggingface_hub (which tokenizers brings along) and @medgpt/core have one cache: each finds offline what the other downloaded."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from checks import ROOT, check, node, scratch

SERVE = """
import { HubServer } from "./packages/core/dist/testing/index.js";
const server = await HubServer.start();
const weights = Buffer.alloc(300_000, "weights");
const model = { "config.json": "{}", "tokenizer.json": "{}", "model.safetensors": weights };
server.publish("org/tiny", model, { revisions: ["main", "v1", "refs/pr/1"] });
server.publish("datasets/org/texts", { "data/train-00000-of-00001.parquet": weights, "README.md": "# Texts" });
console.log(server.url);
process.stdin.resume().on("end", () => process.exit());
"""

RESOLVE = """
import { connectHub, resolveDataset, resolveModel } from "./packages/core/dist/hub/index.js";
const [name, revision] = JSON.parse(process.argv.at(-1));
const hub = await connectHub({ log: () => {} });
const { dir } = name.includes("texts")
  ? await resolveDataset(name, null, hub)
  : await resolveModel(name, "model", hub, revision);
console.log(dir);
"""

SNAPSHOT = """
import json, sys
from huggingface_hub import snapshot_download
name, revision = json.loads(sys.argv[1])
print(snapshot_download(name, revision=revision, repo_type="dataset" if "texts" in name else "model"))
"""

SCAN = """
from huggingface_hub import scan_cache_dir
found = scan_cache_dir()
assert not found.warnings, found.warnings
print(*sorted(f"{repo.repo_type}:{repo.repo_id}:{len(repo.refs)}" for repo in found.repos))
"""

REPOSITORIES = [("org/tiny", "main"), ("org/tiny", "refs/pr/1"), ("org/texts", "main")]


@contextmanager
def hub():
    """A loopback hub's address."""
    command = ["node", "--input-type=module", "--eval", SERVE]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().strip()
        finally:
            server.stdin.close()


@contextmanager
def environment(**variables):
    """The variables that both read, for the processes started inside."""
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGING"))]:
        del os.environ[name]
    os.environ.update(variables, HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="1")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def python(script, *arguments):
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1:]
    return done.stdout.strip()


def ours(repository):
    return node(RESOLVE, json.dumps(repository)).strip()


def theirs(repository):
    return python(SNAPSHOT, json.dumps(repository))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


with scratch() as folder, hub() as url:

    @check("huggingface_hub finds offline what we downloaded")
    def _():
        home = f"{folder}/ours"
        with environment(HF_ENDPOINT=url, HF_HOME=home):
            folders = [ours(repository) for repository in REPOSITORIES]
        with environment(HF_HOME=home, HF_HUB_OFFLINE="1"):
            assert [theirs(repository) for repository in REPOSITORIES] == folders, folders
            scanned = python(SCAN)
        assert scanned == "dataset:org/texts:1 model:org/tiny:2", scanned

    @check("we find offline what huggingface_hub downloaded")
    def _():
        home = f"{folder}/theirs"
        with environment(HF_ENDPOINT=url, HF_HOME=home):
            folders = [theirs(repository) for repository in REPOSITORIES]
        with environment(HF_HOME=home, HF_HUB_OFFLINE="1"):
            assert [ours(repository) for repository in REPOSITORIES] == folders, folders

    @check("both download the same files to the same places")
    def _():
        caches = [contents(f"{folder}/{name}/hub") for name in ("ours", "theirs")]
        shared = [{path: data for path, data in cache.items() if "blobs" in path.parts or "snapshots" in path.parts} for cache in caches]
        assert len(shared[0]) > 6 and shared[0] == shared[1], [sorted(map(str, cache)) for cache in shared]
