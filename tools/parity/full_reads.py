"""
Everything a run leaves behind is read by the libraries it is meant for: transformers and PEFT load model and adapter and
get our eval_loss, for every family; safetensors and TensorBoard open checkpoints and events.
"""

import json
import subprocess
import sys
from pathlib import Path

import torch
from peft import PeftModel
from safetensors import safe_open
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from checks import ROOT, check, node, scratch

SAMPLE = ROOT / "datasets/sample"
BLOCK, BATCH, EVAL_BLOCKS = 64, 2, 4
SIZES = {"vocab_size": 2000, "hidden_size": 64, "tie_word_embeddings": False}
LLAMA = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 128, "num_hidden_layers": 2, "max_position_embeddings": 256}
FAMILIES = {
    "llama": {**SIZES, **LLAMA, "architectures": ["LlamaForCausalLM"]},
    "qwen2": {**SIZES, **LLAMA, "architectures": ["Qwen2ForCausalLM"], "tie_word_embeddings": True},
    "bloom": {**SIZES, "n_head": 4, "n_layer": 2, "architectures": ["BloomForCausalLM"], "tie_word_embeddings": True},
    "qwen3": {**SIZES, **LLAMA, "head_dim": 24, "architectures": ["Qwen3ForCausalLM"]},
    "mistral": {**SIZES, **LLAMA, "head_dim": 16, "sliding_window": 24, "architectures": ["MistralForCausalLM"]},
    "gemma2": {**SIZES, **LLAMA, "head_dim": 16, "sliding_window": 24, "architectures": ["Gemma2ForCausalLM"], "tie_word_embeddings": True},
    "gpt2": {**SIZES, "n_embd": 64, "n_head": 4, "n_layer": 2, "n_positions": 256, "architectures": ["GPT2LMHeadModel"], "tie_word_embeddings": True},
}

INIT = """
import { initCausalLm } from "./packages/core/dist/models/index.js";
const { dir, config } = JSON.parse(process.argv.at(-1));
await initCausalLm(dir, config, "datasets/sample/tokenizer");
"""


def medgpt(base, output, peft):
    flags = {
        "model_name_or_path": base, "train_file_dir": SAMPLE / "pretrain", "validation_file_dir": SAMPLE / "pretrain",
        "output_dir": output, "do_train": True, "do_eval": True, "max_eval_samples": EVAL_BLOCKS, "block_size": BLOCK,
        "per_device_train_batch_size": 4, "per_device_eval_batch_size": BATCH, "max_steps": 6, "learning_rate": 1e-2,
        "logging_steps": 1, "save_steps": 3, "report_to": "tensorboard", "use_peft": peft, "cache_dir": f"{output}-cache",
    }  # fmt: skip
    command = ["node", ROOT / "packages/cli/bin/medgpt.js", "pretrain"]
    command += [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return json.loads((output / "eval_results.json").read_text())["eval_loss"]


def evaluate(model, tokenizer):
    """The same blocks: the .txt files come after the .jsonl by name, so the first blocks are its and the English text's."""
    ids = []
    for file in sorted((SAMPLE / "pretrain").iterdir()):
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            text = json.loads(line)["text"] if file.suffix == ".jsonl" else line
            if text.strip("\r\n"):
                ids += tokenizer(text)["input_ids"] + [tokenizer.eos_token_id]
    blocks = torch.tensor(ids[: BLOCK * EVAL_BLOCKS]).view(-1, BATCH, BLOCK)
    with torch.no_grad():
        return sum(model(input_ids=b, labels=b).loss.item() for b in blocks) / len(blocks)


def load(path):
    model, report = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, output_loading_info=True)
    assert not any(report.values()), report
    return model.eval()


with scratch() as folder:
    folder = Path(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(SAMPLE / "tokenizer/tokenizer.json"), eos_token="<|endoftext|>")
    for family, config in FAMILIES.items():
        base = folder / family
        node(INIT, json.dumps({"dir": str(base), "config": {**config, "model_type": family}}))

        @check(f"transformers loads a {family} that was trained in full, and gets our eval_loss")
        def _():
            ours = medgpt(base, folder / f"{family}-full", False)
            theirs = evaluate(load(folder / f"{family}-full"), tokenizer)
            assert abs(ours - theirs) <= 1e-4, f"ours {ours}, transformers' {theirs}"

        @check(f"PEFT loads an adapter of a {family}, and gets our eval_loss")
        def _():
            ours = medgpt(base, folder / f"{family}-lora", True)
            model = PeftModel.from_pretrained(load(base), folder / f"{family}-lora").eval()
            theirs = evaluate(model, tokenizer)
            assert abs(ours - theirs) <= 1e-4, f"ours {ours}, PEFT's {theirs}"

    @check("safetensors opens the optimizer of a checkpoint")
    def _():
        with safe_open(folder / "llama-lora/checkpoint-6/optimizer.safetensors", "pt") as state:
            names = list(state.keys())
            assert state.metadata()["step"] == "6", state.metadata()
            assert len(names) == 2 * 2 * 7 * 2, len(names)

    @check("TensorBoard reads the loss of every step of a run")
    def _():
        runs = sorted((folder / "llama-lora/runs").iterdir())
        losses = {}
        for run in runs:
            events = EventAccumulator(str(run))
            events.Reload()
            if "train/loss" in events.Tags()["scalars"]:
                losses = {event.step: event.value for event in events.Scalars("train/loss")}
        state = json.loads((folder / "llama-lora/trainer_state.json").read_text())
        logged = {row["step"]: row["loss"] for row in state["log_history"] if "loss" in row}
        assert losses.keys() == logged.keys() and len(losses) == 6, losses
        assert all(abs(losses[step] - logged[step]) < 1e-5 for step in losses), (losses, logged)
