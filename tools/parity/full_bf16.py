"""
How far bfloat16 takes us from float32, beside how far it takes PyTorch on the same weights and tokens: the root mean
square of the logits' difference from the float32 reference may be at most 1.25 times PyTorch's.
"""

import json

import numpy as np
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from checks import SHARED, Skip, check, node, shared

FAMILIES = ["bloom", "llama", "qwen2"]


def cases():
    """Models of the families that have outputs; none where the shared data is missing, which a check of its own says."""
    folders = sorted(SHARED.glob("goldens/A_models/*"))
    folders = [folder for folder in folders if (folder / "config.json").exists() and (folder / "io.safetensors").exists()]
    return [folder for folder in folders if json.loads((folder / "config.json").read_text())["model_type"] in FAMILIES]


OURS = """
import { chooseBackend } from "./packages/core/dist/backends/index.js";
import { collate } from "./packages/core/dist/data/index.js";
import { loadCausalLm } from "./packages/core/dist/models/index.js";
import { noGrad, scope } from "./packages/core/dist/tensor/index.js";
const { dir, rows } = JSON.parse(process.argv.at(-1));
const { backend } = await chooseBackend({ backend: "auto" });
if (!backend.dtypes.includes("bf16")) { console.log("null"); process.exit(0); }
const model = await loadCausalLm(dir, { backend, compute: "bf16" });
const batch = collate(rows.map((row) => ({ ids: Int32Array.from(row) })));
const logits = scope(() => noGrad(() => model.head.logits(model.forward(batch))));
console.log(JSON.stringify(Array.from(await logits.read())));
await backend.dispose();
"""

@check("there are models to compare bfloat16 with")
def _():
    assert cases() or not shared("goldens/A_models"), f"no model of {FAMILIES} in {SHARED}/goldens/A_models"


for folder in cases():

    @check(f"bfloat16 logits of {folder.name} are as near to float32 as PyTorch's")
    def _():
        io = load_file(folder / "io.safetensors")
        mask = io["attention_mask"].bool()
        expected = io["logits"][mask].numpy()
        rows = [ids[keep].tolist() for ids, keep in zip(io["input_ids"], mask)]
        ours = json.loads(node(OURS, json.dumps({"dir": str(folder), "rows": rows})))
        if ours is None:
            raise Skip("the backend does not compute in bfloat16")
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        with torch.no_grad():
            logits = model(input_ids=io["input_ids"].long(), attention_mask=io["attention_mask"].long()).logits
        theirs = logits[mask].float().numpy()
        rms = lambda values: float(np.sqrt(np.mean((values.reshape(expected.shape) - expected) ** 2)))
        a, b = rms(np.array(ours, dtype=np.float32)), rms(theirs)
        print(f"# {folder.name}: ours {a:.5f}, PyTorch {b:.5f}, ratio {a / b:.2f}", flush=True)
        assert a <= 1.25 * b, f"{a} against PyTorch's {b}"
