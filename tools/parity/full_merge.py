"""
`medgpt merge` against PEFT: transformers opens what it writes with nothing missing or left over, and gets the logits that
it gets from base + adapter; weights, their names and config.json are those of merge_and_unload and save_pretrained.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from checks import ROOT, check, scratch

SIZES = {"vocab_size": 2000, "hidden_size": 64}
LLAMA = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "num_hidden_layers": 2, "max_position_embeddings": 64}
BASES = {
    "bloom": {**SIZES, "n_head": 4, "n_layer": 2},
    "llama": {**SIZES, **LLAMA, "tie_word_embeddings": False},
    "qwen2": {**SIZES, **LLAMA, "tie_word_embeddings": True},
    "qwen3": {**SIZES, **LLAMA, "head_dim": 32, "tie_word_embeddings": False},
    "mistral": {**SIZES, **LLAMA, "sliding_window": 8, "tie_word_embeddings": False},
    "gemma2": {**SIZES, **LLAMA, "head_dim": 16, "sliding_window": 8, "query_pre_attn_scalar": 16},
    "gpt2": {"vocab_size": 2000, "n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 64},
}
BOTH = ["embed_tokens", "lm_head"]
CASES = [
    ("bloom", {"target_modules": ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]}),
    ("qwen2", {"target_modules": "all-linear"}),
    ("qwen2", {"target_modules": ["q_proj"], "modules_to_save": BOTH}),
    ("qwen2", {"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}),
    ("llama", {"target_modules": ["q_proj", "v_proj"], "modules_to_save": BOTH}),
    ("llama", {"target_modules": "all-linear", "task_type": "SEQ_CLS"}),
    ("bloom", {"target_modules": ["query_key_value"], "task_type": "SEQ_CLS"}),
    ("qwen3", {"target_modules": "all-linear", "use_rslora": True}),
    ("mistral", {"target_modules": ["q_proj", "down_proj"], "rank_pattern": {"q_proj": 6}, "alpha_pattern": {"down_proj": 24}, "layers_to_transform": [1]}),
    ("gemma2", {"target_modules": "all-linear"}),
    ("gpt2", {"target_modules": ["c_attn", "c_proj", "c_fc"], "fan_in_fan_out": True}),
    ("gpt2", {"target_modules": ["c_attn"], "modules_to_save": ["wte"], "fan_in_fan_out": True}),
    ("gpt2", {"target_modules": ["c_attn", "c_proj"], "task_type": "SEQ_CLS", "fan_in_fan_out": True}),
]
IDS = torch.randint(0, SIZES["vocab_size"], (2, 24), generator=torch.Generator().manual_seed(1))


def auto(task):
    return AutoModelForSequenceClassification if task == "SEQ_CLS" else AutoModelForCausalLM


def labels(task):
    return {"num_labels": 1} if task == "SEQ_CLS" else {}


def make_base(folder, family, dtype):
    torch.manual_seed(3)
    config = AutoConfig.for_model(family, **BASES[family], initializer_range=0.1, pad_token_id=0)
    AutoModelForCausalLM.from_config(config).to(dtype).save_pretrained(folder)


def make_adapter(folder, base, task_type="CAUSAL_LM", **lora):
    """Random factors, and saved modules that are no longer the base's."""
    torch.manual_seed(4)
    model = auto(task_type).from_pretrained(base, dtype="auto", **labels(task_type))
    model = get_peft_model(model, LoraConfig(task_type=task_type, r=4, lora_alpha=8, init_lora_weights=False, **lora))
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "modules_to_save" in name:
                value.add_(0.1 * torch.randn_like(value))
    model.save_pretrained(folder, save_embedding_layers=False)


def merge(base, adapter, output, *flags):
    command = ["node", ROOT / "packages/cli/bin/medgpt.js", "merge", "--base_model", base, "--lora_model", adapter, "--output_dir", output]
    subprocess.run([str(part) for part in [*command, *flags]], check=True, stdout=sys.stderr)


def logits(model):
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits.float()


def weights_of(folder):
    return {name: value for file in sorted(folder.glob("*.safetensors")) for name, value in load_file(file).items()}


with scratch() as scratch_folder:
    scratch_folder = Path(scratch_folder)
    for dtype in (torch.float32, torch.bfloat16):
        for family in BASES:
            make_base(scratch_folder / f"{family}-{dtype}", family, dtype)

    def paths(number, dtype):
        family, lora = CASES[number]
        base, task = scratch_folder / f"{family}-{dtype}", lora.get("task_type", "CAUSAL_LM")
        adapter, ours, theirs = (scratch_folder / f"{number}-{dtype}-{name}" for name in ("adapter", "ours", "theirs"))
        make_adapter(adapter, base, **lora)
        merge(base, adapter, ours, "--max_shard_size", "300KB")
        reference = PeftModel.from_pretrained(auto(task).from_pretrained(base, dtype="auto", **labels(task)), adapter)
        return task, ours, theirs, reference

    for number, (family, lora) in enumerate(CASES):
        what = ", ".join(f"{key} {value}" for key, value in lora.items())

        @check(f"transformers gets the logits of base + adapter from the merged model: {family}, {what}")
        def _():
            task, ours, theirs, reference = paths(number, torch.float32)
            expected = logits(reference)
            model, report = auto(task).from_pretrained(ours, output_loading_info=True)
            assert not any(report.values()), report
            worst = (logits(model) - expected).abs().max().item()
            print(f"largest difference {worst:.1e}", file=sys.stderr)
            assert worst <= 1e-4, f"the logits differ by up to {worst}"
            assert task != "SEQ_CLS" or model.config.num_labels == 1, model.config.num_labels

            reference.merge_and_unload().save_pretrained(theirs)
            mine, wanted = weights_of(ours), weights_of(theirs)
            assert mine.keys() == wanted.keys(), mine.keys() ^ wanted.keys()
            for name, value in wanted.items():
                torch.testing.assert_close(mine[name], value, rtol=1e-6, atol=1e-6, msg=name)
            configs = [json.loads((folder / "config.json").read_text()) for folder in (ours, theirs)]
            assert configs[0] == configs[1], {key for key in configs[1] if configs[0].get(key) != configs[1][key]}
            index = json.loads((ours / "model.safetensors.index.json").read_text())
            assert index["metadata"]["total_size"] == sum(value.nbytes for value in wanted.values())

    @check("a bfloat16 model is merged in bfloat16, closer to the exact sum than PEFT")
    def _():
        task, ours, theirs, reference = paths(1, torch.bfloat16)
        exact = {}
        base = reference.get_base_model()
        for name, module in base.named_modules():
            if hasattr(module, "lora_A"):
                delta = module.get_delta_weight("default").double()
                exact[f"{name}.weight"] = module.base_layer.weight.double() + delta
        reference.merge_and_unload().save_pretrained(theirs)
        mine, wanted = weights_of(ours), weights_of(theirs)
        assert {value.dtype for value in mine.values()} == {torch.bfloat16}, "another dtype"
        assert json.loads((ours / "config.json").read_text())["dtype"] == "bfloat16"
        assert len(exact) == 14, len(exact)
        for name, sum_ in exact.items():
            ours_off, theirs_off = ((value[name].double() - sum_).abs().max() for value in (mine, wanted))
            assert ours_off <= theirs_off * 1.0001, f"{name}: {ours_off} against PEFT's {theirs_off}"
