"""
Fine-tuning by transformers + peft on given rows, padded to the longest of a batch as MedicalGPT's collator does: one JSON
object on standard output. The loop and the precision are those of hf_lora_bench.py.

    sft.py --model-dir M --adapter-dir A --batches rows.json --dtype bfloat16 [--grad-checkpointing]
"""

import argparse
import json
import os
import time

import torch
from peft import LoraConfig, TaskType, get_peft_model
from transformers import AutoModelForCausalLM

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model-dir", required=True)
parser.add_argument("--adapter-dir", required=True)
parser.add_argument("--batches", required=True)
parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="bfloat16")
parser.add_argument("--dropout", type=float, default=0.05)
parser.add_argument("--warmup", type=int, default=1)
parser.add_argument("--grad-checkpointing", action="store_true")
args = parser.parse_args()


def status_kib(key):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key + ":"))


def cpu_seconds():
    """Busy seconds of the machine and of this process: their difference is what others took."""
    with open("/proc/stat") as file:
        values = [int(x) for x in file.readline().split()[1:]]
    times = os.times()
    return (sum(values) - values[3] - values[4]) / os.sysconf("SC_CLK_TCK"), times.user + times.system


def padded(rows):
    """The collator pads on the right, to a multiple of 4."""
    longest = -(-max(len(row["ids"]) for row in rows) // 4) * 4
    fill = lambda values, value: values + [value] * (longest - len(values))
    return {
        "input_ids": torch.tensor([fill(row["ids"], 0) for row in rows]),
        "attention_mask": torch.tensor([fill([1] * len(row["ids"]), 0) for row in rows]),
        "labels": torch.tensor([fill(row["labels"], -100) for row in rows]),
    }


torch.set_num_threads(2)
dtype = getattr(torch, args.dtype)
model = AutoModelForCausalLM.from_pretrained(args.model_dir, dtype=dtype)
linears = sorted({n.split(".")[-1] for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and "lm_head" not in n})
torch.manual_seed(42)
config = LoraConfig(task_type=TaskType.CAUSAL_LM, r=8, lora_alpha=16, lora_dropout=args.dropout, target_modules=linears)
model = get_peft_model(model, config)
model.save_pretrained(args.adapter_dir)
if args.grad_checkpointing:
    model.gradient_checkpointing_enable()
model.enable_input_require_grads()
model.config.use_cache = False
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=2e-4, weight_decay=0.01)
batches = json.load(open(args.batches))
open("/proc/self/clear_refs", "w").write("5")  # VmHWM then counts training alone
losses, seconds, slots, tokens = [], 0.0, 0, 0
for index, rows in enumerate(batches):
    if index == args.warmup:
        wall, (busy, own) = time.perf_counter(), cpu_seconds()
    start = time.perf_counter()
    batch = padded(rows)
    with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16"):
        loss = model(**batch).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
    if index >= args.warmup:
        seconds += time.perf_counter() - start
        slots += batch["input_ids"].numel()
        tokens += int(batch["attention_mask"].sum())
end_busy, end_own = cpu_seconds()
print(json.dumps({
    "seconds": seconds,
    "tokens": tokens,
    "slots": slots,
    "loss": losses,
    "other_cores": ((end_busy - busy) - (end_own - own)) / (time.perf_counter() - wall),
    "peak_mib": status_kib("VmHWM") / 1024,
}))  # fmt: skip
