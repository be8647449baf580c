"""
What a config.json or an adapter_config.json may say of a model is what transformers and PEFT make of it: the same logits
and the same gradients of every weight from the same random weights, in both layouts of config.json, and adapters on the
same modules with the same ranks and scales.
"""

import json
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import AutoConfig, AutoModelForCausalLM

from checks import check, node, scratch

VOCABULARY, LENGTHS = 100, (40, 23)
GATED = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.2, "pad_token_id": None,
}  # fmt: skip
GPT2 = {"vocab_size": VOCABULARY, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64, "initializer_range": 0.2, "bos_token_id": 0, "eos_token_id": 0}
GEMMA2 = {**GATED, "head_dim": 12, "query_pre_attn_scalar": 10, "sliding_window": 7}
TYPES = ["full_attention", "sliding_attention", "full_attention"]
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 5000.0}
MODELS = {
    "qwen2 with windows": ("qwen2", {**GATED, "use_sliding_window": True, "sliding_window": 7, "max_window_layers": 1}),
    "qwen2 with layer types": ("qwen2", {**GATED, "use_sliding_window": True, "sliding_window": 7, "layer_types": TYPES}),
    "qwen3 with biases and windows": ("qwen3", {**GATED, "head_dim": 12, "attention_bias": True, "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}),
    "mistral with a window and its own heads": ("mistral", {**GATED, "head_dim": 12, "sliding_window": 5}),
    "mistral without a window": ("mistral", {**GATED, "sliding_window": None}),
    "gemma2 with biases": ("gemma2", {**GEMMA2, "attention_bias": True, "attn_logit_softcapping": 3.0, "final_logit_softcapping": 5.0}),
    "gemma2 without caps": ("gemma2", {**GEMMA2, "attn_logit_softcapping": None, "final_logit_softcapping": None}),
    "gemma2 with layer types and a padding in the text": ("gemma2", {**GEMMA2, "layer_types": TYPES, "pad_token_id": 7}),
    "gpt2 with unscaled scores, its own MLP, untied": ("gpt2", {**GPT2, "scale_attn_weights": False, "n_inner": 40, "activation_function": "relu", "tie_word_embeddings": False}),
    "gpt2 with upcast scores": ("gpt2", {**GPT2, "reorder_and_upcast_attn": True, "activation_function": "gelu"}),
    "llama whose padding stands in the text": ("llama", {**GATED, "pad_token_id": 7}),
    "llama whose padding is the last id": ("llama", {**GATED, "pad_token_id": -1}),
    "qwen2, tied, whose padding stands in the text": ("qwen2", {**GATED, "pad_token_id": 7, "tie_word_embeddings": True}),
    "llama with biases and gelu": ("llama", {**GATED, "attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"}),
    "llama with linear positions": ("llama", {**GATED, "rope_parameters": {"rope_type": "linear", "factor": 2.5, "rope_theta": 1e4}}),
    "llama with dynamic positions": ("llama", {**GATED, "max_position_embeddings": 20, "rope_parameters": {"rope_type": "dynamic", "factor": 3.0, "rope_theta": 1e4}}),
    "llama with yarn": ("llama", {**GATED, "rope_parameters": {**YARN, "beta_fast": 4.0, "beta_slow": 2.0, "mscale": 0.7, "mscale_all_dim": 1.4}}),
    "llama with yarn in fractions": ("llama", {**GATED, "head_dim": 64, "rope_parameters": {**YARN, "truncate": False, "attention_factor": 1.3}}),
    "llama with llama3 positions": ("llama", {**GATED, "rope_parameters": {"rope_type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16, "rope_theta": 1e4}}),
    "bloom whose heads are no power of two": ("bloom", {"vocab_size": VOCABULARY, "hidden_size": 36, "n_layer": 2, "n_head": 6, "initializer_range": 0.2, "pretraining_tp": 2}),
}  # fmt: skip
ADAPTERS = {
    "ends of names": {"target_modules": ["q_proj", "proj"]},
    "every linear module": {"target_modules": "all-linear"},
    "a pattern": {"target_modules": r".*\.1\..*(q|up)_proj"},
    "layers": {"target_modules": ["q_proj", "down_proj"], "layers_to_transform": [0, 2]},
    "one layer of a list": {"target_modules": ["q_proj"], "layers_to_transform": 1, "layers_pattern": "layers"},
    "whole names beside layers": {"target_modules": ["model.layers.0.mlp.up_proj", "v_proj"], "layers_to_transform": [1]},
    "modules left out": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": ["layers.1.self_attn.q_proj"]},
    "modules left out by a pattern": {"target_modules": ["q_proj", "v_proj"], "exclude_modules": r".*\.[02]\..*"},
    "modules saved whole": {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["q_proj"]},
    "ranks and alphas by pattern": {
        "target_modules": ["q_proj", "v_proj", "up_proj"],
        "rank_pattern": {r"layers\.1\..*": 2, "q_proj": 6},
        "alpha_pattern": {"^model.layers.0.mlp.up_proj": 24, "proj": 99, "v_.*": 5},
    },
    "rslora": {"target_modules": ["o_proj"], "use_rslora": True, "rank_pattern": {r"2\.self_attn\.o_proj": 9}},
}

RUN = """
import { chooseBackend } from "./packages/core/dist/backends/index.js";
import { collate, labelCount } from "./packages/core/dist/data/index.js";
import { openBase, tokenLoss, trainedLm, WholeWeights } from "./packages/core/dist/models/index.js";
import { sum } from "./packages/core/dist/ops/index.js";
import { backward, noGrad, scope } from "./packages/core/dist/tensor/index.js";
const { dir, rows } = JSON.parse(process.argv.at(-1));
const { backend } = await chooseBackend({ backend: "auto" });
const base = await openBase(dir, { backend });
const { model, arena } = trainedLm(base, new WholeWeights(base));
const batch = collate(rows.map((ids) => ({ ids: Int32Array.from(ids) })));
const logits = scope(() => noGrad(() => model.head.logits(model.forward(batch))));
backward(scope(() => sum(tokenLoss(model, batch).nll, 1 / labelCount(batch))));
const gradients = {};
for (const parameter of arena.parameters) gradients[parameter.name] = [...(await parameter.grad.read())];
console.log(JSON.stringify({ logits: [...(await logits.read())], gradients }));
await backend.dispose();
"""

TARGETS = """
import { chooseBackend } from "./packages/core/dist/backends/index.js";
import { loadCausalLm } from "./packages/core/dist/models/index.js";
const { base, adapter } = JSON.parse(process.argv.at(-1));
const { backend } = await chooseBackend({ backend: "auto" });
const model = await loadCausalLm(base, { backend, adapter });
const adapters = model.base.linears.map((name) => [name, model.loras(name)[0]]).filter(([, lora]) => lora !== undefined);
console.log(JSON.stringify(Object.fromEntries(adapters.map(([name, { a, scale }]) => [name, [a.shape[0], scale]]))));
await backend.dispose();
"""


def make(family, config, path):
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **config), attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.2 * torch.randn(parameter.shape))
    model.save_pretrained(path)
    return model


def old_layout(path):
    """Turns a config.json's rope_parameters into rope_theta and rope_scaling; False where there are none."""
    config = json.loads((path / "config.json").read_text())
    rope = config.pop("rope_parameters", None)
    if rope is None:
        return False
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope["rope_type"] == "default" else {**rope, "type": rope.pop("rope_type")}
    (path / "config.json").write_text(json.dumps(config))
    return True


rows = [torch.randint(VOCABULARY, (length,), generator=torch.Generator().manual_seed(length)).tolist() for length in LENGTHS]
rows[0][5:7] = [7, VOCABULARY - 1]


def compare(path, logits, model, rows=rows):
    """Fails unless ours of the model at path are the logits (tokens, vocabulary) and the model's gradients."""
    ours = json.loads(node(RUN, json.dumps({"dir": str(path), "rows": rows})))
    worst = (torch.tensor(ours["logits"]).view_as(logits) - logits).abs().max().item()
    assert worst <= 1e-4, f"logits off by {worst}"
    theirs = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert ours["gradients"].keys() == theirs.keys(), set(ours["gradients"]) ^ set(theirs)
    for name, gradient in theirs.items():
        off = (torch.tensor(ours["gradients"][name]).view_as(gradient) - gradient).abs()
        assert (off <= 1e-3 * gradient.abs() + 1e-5).all(), f"the gradient of {name} is off by {off.max()}"


with scratch() as folder:
    folder = Path(folder)

    for number, (name, (family, config)) in enumerate(MODELS.items()):

        @check(f"the logits and gradients of transformers for {name}")
        def _():
            path = folder / f"model-{number}"
            model = make(family, config, path)
            width = max(LENGTHS)
            ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
            output = model(input_ids=ids, attention_mask=mask, labels=ids.masked_fill(mask == 0, -100))
            output.loss.backward()
            theirs = output.logits[mask == 1].detach()
            assert theirs.std() > 0.1, "the logits are flat"
            compare(path, theirs, model)
            if old_layout(path):
                compare(path, theirs, model)

    @check("the logits and gradients of transformers for gpt2 without its prefix, as it is published")
    def _():
        model = make("gpt2", GPT2, folder / "gpt2")
        model.base_model.save_pretrained(folder / "gpt2")
        ids = torch.tensor(rows[0])[None]
        output = model(input_ids=ids, labels=ids)
        output.loss.backward()
        compare(folder / "gpt2", output.logits[0].detach(), model, rows[:1])

    for name, settings in ADAPTERS.items():

        @check(f"the adapters of PEFT for {name}")
        def _():
            base, adapter = folder / "adapted", folder / f"adapter {name}"
            model = get_peft_model(make("llama", GATED, base), LoraConfig(r=4, lora_alpha=8, task_type="CAUSAL_LM", **settings))
            model.save_pretrained(adapter)
            theirs = {
                key.removeprefix("base_model.model."): [module.r["default"], module.scaling["default"]]
                for key, module in model.named_modules()
                if isinstance(module, LoraLayer)
            }
            ours = json.loads(node(TARGETS, json.dumps({"base": str(base), "adapter": str(adapter)})))
            assert theirs and ours.keys() == theirs.keys(), f"ours {sorted(ours)}, PEFT's {sorted(theirs)}"
            assert all(ours[key][0] == theirs[key][0] and abs(ours[key][1] - theirs[key][1]) < 1e-9 for key in ours), (ours, theirs)
