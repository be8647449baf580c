"""
Continued pretraining of a real model, ours and transformers + peft's from the same adapter on the same text: the loss of
every step, and PEFT's evaluation of the adapter we write. --steps N changes the number of steps (60).
"""

import argparse
import sys
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoTokenizer

from checks import check, scratch, shared
from training import follows, load, medgpt, smollm2, train, with_adapter

BLOCK, BATCH, EVAL_BLOCKS = 512, 2, 8

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=60)
STEPS = parser.parse_args().steps


def blocks_of(tokenizer, folder):
    """Every line of text with its line break, each followed by EOS, joined and cut; blank lines left out."""
    ids = []
    for file in sorted(folder.rglob("*.txt")):
        for line in file.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.strip("\r\n"):
                ids += tokenizer(line)["input_ids"] + [tokenizer.eos_token_id]
    return torch.tensor(ids[: len(ids) // BLOCK * BLOCK]).view(-1, BLOCK)


with scratch() as folder:
    folder = Path(folder)
    ours = []

    @check(f"{STEPS} steps of SmolLM2-135M-Instruct follow transformers + peft within 1e-3")
    def _():
        base, data = smollm2(), shared("data/pretrain")
        model = with_adapter(base, folder / "init")
        blocks = blocks_of(AutoTokenizer.from_pretrained(base), data)
        losses, eval_loss = medgpt(
            "pretrain", STEPS, folder / "ours", model_name_or_path=base, peft_path=folder / "init", train_file_dir=data,
            validation_file_dir=data, max_eval_samples=EVAL_BLOCKS, block_size=BLOCK,
            per_device_train_batch_size=BATCH, per_device_eval_batch_size=BATCH,
        )  # fmt: skip
        ours.append((base, blocks, eval_loss))

        def batch_of(step):
            ids = blocks[torch.arange(step * BATCH, (step + 1) * BATCH) % len(blocks)]
            return {"input_ids": ids, "labels": ids}

        follows(losses, train(model, STEPS, batch_of))

    @check("PEFT evaluates the adapter we wrote to our eval_loss within 1e-4")
    def _():
        base, blocks, eval_loss = ours[0]
        model = PeftModel.from_pretrained(load(base), folder / "ours").eval()
        with torch.no_grad():
            parts = [blocks[i : i + BATCH] for i in range(0, EVAL_BLOCKS, BATCH)]
            loss = sum(model(input_ids=ids, labels=ids).loss.item() for ids in parts) / len(parts)
        print(f"eval_loss: PEFT {loss:.6f}, ours {eval_loss:.6f}", file=sys.stderr)
        assert abs(loss - eval_loss) <= 1e-4, f"PEFT evaluates to {loss}, we to {eval_loss}"
