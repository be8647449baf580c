"""What the checks share that train a real model beside ours: SmolLM2-135M-Instruct with a LoRA adapter, in float32."""

import json
import subprocess
import sys

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, get_linear_schedule_with_warmup

from checks import ROOT, shared

RATE, WARMUP, CLIP = 2e-4, 3, 1.0
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def smollm2():
    """The folder of SmolLM2-135M-Instruct, made once."""
    folder = ROOT / ".cache/smollm2"
    script = shared("models/smollm2.py")
    subprocess.run([sys.executable, script, folder], check=True, stdout=sys.stderr)
    return folder


def load(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def with_adapter(base, folder):
    """The base with a fresh adapter, which is written to the folder too."""
    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, target_modules=TARGETS)
    model = get_peft_model(load(base), config)
    model.save_pretrained(folder)
    return model


def train(model, steps, batch_of):
    """Losses of a plain AdamW loop, the same arithmetic as the Trainer's. `batch_of(step)` gives the model's arguments."""
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, WARMUP, steps)
    losses = []
    model.train()
    for step in range(steps):
        loss = model(**batch_of(step)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        print(f"reference step {step + 1} loss {losses[-1]:.4f}", file=sys.stderr, flush=True)
    return losses


def medgpt(stage, steps, output, **flags):
    """Runs our command with the settings of `train`; returns the losses of its steps and eval_loss."""
    flags = {
        "output_dir": output, "cache_dir": f"{output}-cache", "do_train": True, "do_eval": True, "max_steps": steps,
        "train_sampling_strategy": "sequential", "learning_rate": RATE, "warmup_steps": WARMUP, "max_grad_norm": CLIP,
        "logging_steps": 1, "save_strategy": "no", **flags,
    }  # fmt: skip
    command = ["node", ROOT / "packages/cli/bin/medgpt.js", stage]
    command += [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
    subprocess.run(command, check=True, stdout=sys.stderr)
    state = json.loads((output / "trainer_state.json").read_text())
    results = json.loads((output / "eval_results.json").read_text())
    return [row["loss"] for row in state["log_history"] if "loss" in row], results["eval_loss"]


def follows(losses, reference, most=1e-3):
    """Fails where the losses are more than `most` apart at any step."""
    assert len(losses) == len(reference), (len(losses), len(reference))
    worst = max(abs(a - b) for a, b in zip(losses, reference))
    print(f"loss {reference[0]:.4f} -> {reference[-1]:.4f}, ours {losses[-1]:.4f}, largest difference {worst:.2e}", file=sys.stderr)
    assert worst <= most, f"the losses differ by up to {worst}"
