"""
What is generated after short prompts is what transformers generates, by token, for every family: 200 random prompts of one
to five tokens, greedily, with a repetition penalty and with beams, on the backend that a user gets. Ours answers all
prompts of a model in one call, more than it has slots for, and makes the calls one after another on one model.

A difference is excused only where rounding decides: greedily where transformers' two largest scores of the first token that
differs are within 1e-4, with beams where its scores of the two sequences are. Excuses are counted, and more than two fail.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from checks import ROOT, Skip, check, node, scratch, shared

PROMPTS, NEW, MARGIN = 200, 8, 1e-4
WAYS = {"greedy": {}, "penalty": {"repetition_penalty": 1.3}, "beams": {"num_beams": 3}}

RUN = """
import { chooseBackend } from "./packages/core/dist/backends/index.js";
import { generate } from "./packages/core/dist/generation/index.js";
import { loadCausalLm } from "./packages/core/dist/models/index.js";
const { dir, prompts, ways, count } = JSON.parse(process.argv.at(-1));
const { backend } = await chooseBackend({ backend: "auto" });
const model = await loadCausalLm(dir, { backend });
const results = {};
for (const [name, config] of Object.entries(ways)) {
  const ids = prompts.map((prompt) => Int32Array.from(prompt));
  const answers = await generate(model, ids, { max_new_tokens: count, ...config }, { batchSize: 3 });
  results[name] = answers.map(([best]) => [...best.ids]);
}
console.log(JSON.stringify(results));
await backend.dispose();
"""


def theirs(model, prompt, way):
    config = GenerationConfig(do_sample=False, max_new_tokens=NEW, pad_token_id=0, **way)
    ids = torch.tensor([prompt])
    return model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)[0, len(prompt) :].tolist()


def log_probability(model, prompt, answer):
    logits = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum().item()


def excused(model, prompt, way, expected, got):
    """Whether rounding decides between the two answers."""
    if len(expected) != len(got):
        return False
    if "num_beams" in way:
        return abs(log_probability(model, prompt, expected) - log_probability(model, prompt, got)) / NEW < MARGIN
    common = next(i for i, (a, b) in enumerate(zip(expected, got)) if a != b)
    seen = prompt + expected[:common]
    scores = model(input_ids=torch.tensor([seen])).logits[0, -1]
    for token in set(seen) if "repetition_penalty" in way else ():
        scores[token] *= way["repetition_penalty"] if scores[token] < 0 else 1 / way["repetition_penalty"]
    return (scores[expected[common]] - scores[got[common]]).item() < MARGIN and got[common] in scores.topk(2).indices


def load(path):
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()
    model.generation_config = GenerationConfig()
    return model


SUPPORTED = json.loads(node("""
import { families } from "./packages/core/dist/models/families.js";
console.log(JSON.stringify(families.map(({ modelType }) => modelType)));
"""))  # fmt: skip


def models():
    """Folders of models of supported families: the fixtures of the repository, and the shared ones where they are."""
    folders = list((ROOT / "tools/parity/fixtures/models").iterdir())
    try:
        folders += shared("goldens/A_models").iterdir()
    except Skip:
        pass
    folders = sorted(folder for folder in folders if (folder / "config.json").exists())
    return [folder for folder in folders if json.loads((folder / "config.json").read_text())["model_type"] in SUPPORTED]


torch.set_grad_enabled(False)
# Threads only wait for one another on models this small.
torch.set_num_threads(1)
FOLDERS = models()
assert {json.loads((f / "config.json").read_text())["model_type"] for f in FOLDERS} == set(SUPPORTED), "a family has no model"
EACH = -(-PROMPTS // len(FOLDERS))

for number, folder in enumerate(FOLDERS):

    @check(f"the tokens of transformers after {EACH} short prompts of {folder.parent.name}/{folder.name}")
    def _():
        model = load(folder)
        draw = torch.Generator().manual_seed(number)
        # The first are of one token each: a first batch has no other.
        lengths = [1, 1, 1, *torch.randint(1, 6, (EACH - 3,), generator=draw).tolist()]
        prompts = [torch.randint(model.config.vocab_size, (length,), generator=draw).tolist() for length in lengths]
        arguments = {"dir": str(folder), "prompts": prompts, "ways": WAYS, "count": NEW}
        ours = json.loads(node(RUN, json.dumps(arguments)))
        excuses = 0
        for name, way in WAYS.items():
            for prompt, got in zip(prompts, ours[name], strict=True):
                expected = theirs(model, prompt, way)
                if got == expected:
                    continue
                assert excused(model, prompt, way, expected, got), f"{name} after {prompt}: {got}, theirs {expected}"
                excuses += 1
        print(f"{folder.name}: {excuses} excused", file=sys.stderr)
        assert excuses <= 2, f"{excuses} differences by rounding are too many to be that"


@check("the text of transformers from `medgpt generate`, after prompts of one token")
def _():
    stored = {folder: json.loads((folder / "config.json").read_text()) for folder in FOLDERS}
    in_float32 = lambda config: "float32" == (config.get("dtype") or config.get("torch_dtype") or "float32")
    folders = [folder for folder in FOLDERS if (folder / "tokenizer.json").exists() and in_float32(stored[folder])]
    if not folders:
        raise Skip("no model with a tokenizer in the shared data")
    with scratch() as place:
        for folder in folders:
            tokenizer, model = AutoTokenizer.from_pretrained(folder), load(folder)
            prompts = ["a", "血", "1."]
            (Path(place) / "prompts.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
            answers = Path(place) / f"{folder.name}.jsonl"
            flags = ["--raw", "--torch_dtype", "float32", "--model_name_or_path", folder, "--data_file", f"{place}/prompts.txt",
                     "--output_file", answers, "--max_new_tokens", NEW]  # fmt: skip
            command = ["node", ROOT / "packages/cli/bin/medgpt.js", "generate", *flags]
            subprocess.run([str(part) for part in command], check=True, capture_output=True)
            for prompt, line in zip(prompts, answers.read_text(encoding="utf-8").splitlines(), strict=True):
                ids = tokenizer(prompt)["input_ids"]
                expected = theirs(model, ids, {"eos_token_id": tokenizer.eos_token_id})
                text = tokenizer.decode(expected, skip_special_tokens=True).strip()
                got = json.loads(line)["Output"]
                assert got == text, f"{folder.name} after {prompt!r} {ids}: {got!r}, theirs {text!r}"
