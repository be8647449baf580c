"""
Continued pretraining of a real model, ours and transformers + peft's from the same adapter on the same text: the loss of
every step, and PEFT's evaluation of the adapter we write. --steps N changes the number of steps (60).
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, get_linear_schedule_with_warmup

from checks import ROOT, check, scratch, shared

BLOCK, BATCH, EVAL_BLOCKS = 512, 2, 8
RATE, WARMUP, CLIP = 2e-4, 3, 1.0

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=60)
STEPS = parser.parse_args().steps


def smollm2():
    """The folder of SmolLM2-135M-Instruct, made once."""
    folder = ROOT / ".cache/smollm2"
    script = shared("models/smollm2.py")
    subprocess.run([sys.executable, script, folder], check=True, stdout=sys.stderr)
    return folder


def blocks_of(tokenizer, folder):
    """Every line of text with its line break, each followed by EOS, joined and cut; blank lines left out."""
    ids = []
    for file in sorted(folder.rglob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.strip("\r\n"):
                ids += tokenizer(line)["input_ids"] + [tokenizer.eos_token_id]
    return torch.tensor(ids[: len(ids) // BLOCK * BLOCK]).view(-1, BLOCK)


def load(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def train(model, blocks):
    """Losses of a plain AdamW loop; the same arithmetic as the Trainer's."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, STEPS)
    losses = []
    model.train()
    for step in range(STEPS):
        ids = blocks[torch.arange(step * BATCH, (step + 1) * BATCH) % len(blocks)]
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        print(f"reference step {step + 1} loss {losses[-1]:.4f}", file=sys.stderr, flush=True)
    return losses


def medgpt(base, adapter, data, output):
    flags = {
        "model_name_or_path": base, "peft_path": adapter, "train_file_dir": data, "validation_file_dir": data,
        "output_dir": output, "do_train": True, "do_eval": True, "max_eval_samples": EVAL_BLOCKS, "block_size": BLOCK,
        "per_device_train_batch_size": BATCH, "per_device_eval_batch_size": BATCH, "max_steps": STEPS,
        "train_sampling_strategy": "sequential", "learning_rate": RATE, "warmup_steps": WARMUP, "max_grad_norm": CLIP,
        "logging_steps": 1, "save_strategy": "no", "cache_dir": f"{output}-cache",
    }  # fmt: skip
    command = ["node", ROOT / "packages/cli/bin/medgpt.js", "pretrain"]
    command += [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    state = json.loads((output / "trainer_state.json").read_text())
    results = json.loads((output / "eval_results.json").read_text())
    return [row["loss"] for row in state["log_history"] if "loss" in row], results["eval_loss"]


with scratch() as folder:
    folder = Path(folder)
    ours = []

    @check(f"{STEPS} steps of SmolLM2-135M-Instruct follow transformers + peft within 1e-3")
    def _():
        base, data = smollm2(), shared("data/pretrain")
        torch.manual_seed(0)
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=targets)
        model = get_peft_model(load(base), config)
        model.save_pretrained(folder / "init")
        blocks = blocks_of(AutoTokenizer.from_pretrained(base), data)
        losses, eval_loss = medgpt(base, folder / "init", data, folder / "ours")
        ours.append((base, blocks, eval_loss))
        reference = train(model, blocks)
        assert len(losses) == STEPS, len(losses)
        worst = max(abs(a - b) for a, b in zip(losses, reference))
        print(f"loss {reference[0]:.4f} -> {reference[-1]:.4f}, ours {losses[-1]:.4f}, largest difference {worst:.2e}", file=sys.stderr)
        assert worst <= 1e-3, f"the losses differ by up to {worst}"

    @check("PEFT evaluates the adapter we wrote to our eval_loss within 1e-4")
    def _():
        base, blocks, eval_loss = ours[0]
        model = PeftModel.from_pretrained(load(base), folder / "ours").eval()
        with torch.no_grad():
            parts = [blocks[i : i + BATCH] for i in range(0, EVAL_BLOCKS, BATCH)]
            loss = sum(model(input_ids=ids, labels=ids).loss.item() for ids in parts) / len(parts)
        print(f"eval_loss: PEFT {loss:.6f}, ours {eval_loss:.6f}", file=sys.stderr)
        assert abs(loss - eval_loss) <= 1e-4, f"PEFT evaluates to {loss}, we to {eval_loss}"
