"""Python's safetensors and tokenizers read what @medgpt/artifacts writes, and agree on its digests."""

import hashlib
import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from tokenizers import Tokenizer

from checks import check, node, scratch

MAKE = """
import { tinyAdapter, tinyCausalLm } from "./packages/artifacts/dist/testing/index.js";
const dir = process.argv.at(-1);
await tinyAdapter(`${dir}/adapter`, await tinyCausalLm(`${dir}/model`));
"""

with scratch() as folder:
    folder = Path(folder)
    node(MAKE, folder)

    @check("safetensors opens the weights of an artifact")
    def _():
        with safe_open(folder / "model/model.safetensors", "numpy") as weights:
            table = weights.get_tensor("model.embed_tokens.weight")
            parameters = sum(weights.get_tensor(name).size for name in weights.keys())
        assert table.dtype == np.float32 and table.shape == (32, 8), (table.dtype, table.shape)
        expected = np.sin(np.arange(256) * 12.9898 + 256) * 0.05
        assert np.allclose(table.reshape(-1), expected, atol=1e-7), "other values than were written"
        manifest = json.loads((folder / "model/medgpt.json").read_text())
        assert manifest["details"]["parameters"] == parameters, parameters

    @check("tokenizers opens the tokenizer of an artifact")
    def _():
        tokenizer = Tokenizer.from_file(str(folder / "model/tokenizer.json"))
        tokens = tokenizer.encode("What is fever? xyz").tokens
        assert tokens == ["what", "is", "fever", "?", "<unk>"], tokens

    @check("hashlib agrees with every digest of an artifact and of its lineage")
    def _():
        for name in ("model", "adapter"):
            manifest = json.loads((folder / name / "medgpt.json").read_text())
            for file, entry in manifest["files"].items():
                data = (folder / name / file).read_bytes()
                assert (len(data), hashlib.sha256(data).hexdigest()) == (entry["bytes"], entry["sha256"]), file
        base = hashlib.sha256((folder / "model/medgpt.json").read_bytes()).hexdigest()
        assert manifest["inputs"][0]["digest"] == base, "the adapter names another base"
