"""
Fine-tuning of a real model on real conversations, ours and transformers + peft's from the same adapter: the loss of every
step, and PEFT's evaluation of the adapter we write. The reference's rows are made here, by transformers alone, as MedicalGPT
makes them; both train on those that fit. --steps N changes the number of steps (30).
"""

import argparse
import json
import sys
from pathlib import Path

import numpy
import torch
from peft import PeftModel
from transformers import AutoTokenizer

from checks import check, scratch, shared
from training import follows, load, medgpt, smollm2, train, with_adapter

LENGTH, BATCH, EVAL_ROWS = 512, 2, 8

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=30)
STEPS = parser.parse_args().steps


def row_of(tokenizer, conversation):
    """Ids and labels, or None where a turn does not fit or does not get its share of the length."""
    ids, labels, messages, before = [], [], [], ""
    for human, gpt in zip(conversation[::2], conversation[1::2]):
        messages.append({"role": "user", "content": human["value"]})
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        source = tokenizer.encode(text[len(before) :], add_special_tokens=not ids)
        answer = tokenizer.encode(gpt["value"], add_special_tokens=False)
        messages.append({"role": "assistant", "content": gpt["value"]})
        before = tokenizer.apply_chat_template(messages, tokenize=False)
        if len(answer) > int(LENGTH * len(answer) / (len(source) + len(answer))) - 1:
            return None
        ids += source + answer + [tokenizer.eos_token_id]
        labels += [-100] * len(source) + answer + [tokenizer.eos_token_id]
    return (ids, labels) if len(ids) <= LENGTH else None


def padded(rows, pad):
    """Right-padded to the longest, as a data collator does."""
    longest = max(len(ids) for ids, _ in rows)
    fill = lambda values, value: values + [value] * (longest - len(values))
    return {
        "input_ids": torch.tensor([fill(ids, pad) for ids, _ in rows]),
        "attention_mask": torch.tensor([fill([1] * len(ids), 0) for ids, _ in rows]),
        "labels": torch.tensor([fill(labels, -100) for _, labels in rows]),
    }


with scratch() as folder:
    folder = Path(folder)
    ours = []

    @check(f"{STEPS} steps of SmolLM2-135M-Instruct on conversations follow transformers + peft within 1e-3")
    def _():
        base = smollm2()
        tokenizer = AutoTokenizer.from_pretrained(base)
        lines = shared("data/sft/medical_sft_1K_format.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [(line, row_of(tokenizer, json.loads(line)["conversations"])) for line in lines]
        rows = [(line, row) for line, row in rows if row is not None]
        print(f"{len(rows)} of {len(lines)} conversations fit", file=sys.stderr)
        (folder / "data").mkdir()
        (folder / "data/rows.jsonl").write_text("".join(line + "\n" for line, _ in rows), encoding="utf-8")
        model = with_adapter(base, folder / "init")
        losses, eval_loss = medgpt(
            "sft", STEPS, folder / "ours", model_name_or_path=base, peft_path=folder / "init",
            train_file_dir=folder / "data", validation_file_dir=folder / "data", max_eval_samples=EVAL_ROWS,
            model_max_length=LENGTH, torch_dtype="float32", per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=BATCH,
        )  # fmt: skip
        pad = tokenizer.pad_token_id
        ours.append((base, [padded([row for _, row in rows[i : i + BATCH]], pad) for i in range(0, EVAL_ROWS, BATCH)], eval_loss))
        # The order of datasets' shuffle(seed=42).
        order = numpy.random.default_rng(42).permutation(len(rows))

        def batch_of(step):
            return padded([rows[order[i]][1] for i in range(step * BATCH, (step + 1) * BATCH)], pad)

        follows(losses, train(model, STEPS, batch_of))

    @check("PEFT evaluates the fine-tuned adapter to our eval_loss within 1e-4")
    def _():
        base, batches, eval_loss = ours[0]
        model = PeftModel.from_pretrained(load(base), folder / "ours").eval()
        with torch.no_grad():
            loss = sum(model(**batch).loss.item() for batch in batches) / len(batches)
        print(f"eval_loss: PEFT {loss:.6f}, ours {eval_loss:.6f}", file=sys.stderr)
        assert abs(loss - eval_loss) <= 1e-4, f"PEFT evaluates to {loss}, we to {eval_loss}"
