"""
Makes the reference results in tools/parity/fixtures, which travel with the repository: what transformers, PEFT and the
Trainer compute with tiny random models on our own synthetic text. Tests compare with them on every machine
(packages/core/src/testing/parity.test.ts).

    .cache/venv-full/bin/python tools/parity/generate.py [FOLDER]      (default: tools/parity/fixtures, made anew)

models/     every family: weights, a batch of uneven rows, logits, last hidden states (after the final norm) and loss
adapters/   PEFT adapters with non-zero B: logits, loss and the gradient of every trained tensor
curves/     some steps of the real Trainer: micro-batches, loss, gradient norm, learning rate, final weights
schedules/  the learning rate of every step, by schedule

manifest.json names the libraries' versions, each case's model_type, and every file's sha256. A second run gives the same
bytes; another kind of CPU may differ in the last bits, which full_fixtures.py allows for. A new family is a line of MODELS.
"""

import hashlib
import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"

import peft
import tokenizers
import torch
import transformers
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainingArguments, default_data_collator
from transformers.optimization import get_scheduler

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tools/parity/fixtures"
TEXTS = ROOT / "datasets/sample/pretrain"
VOCABULARY = 200
# The padding has an id of its own: torch gives no gradient to its row of an embedding, wherever the id stands.
UNKNOWN, BEGIN, END, PADDING = 0, 1, 2, 3

SIZES = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, intermediate_size=56,
             max_position_embeddings=64)  # fmt: skip
COMMON = dict(vocab_size=VOCABULARY, bos_token_id=BEGIN, eos_token_id=END, pad_token_id=PADDING, initializer_range=0.12)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=16)  # fmt: skip

# The model_type of transformers and what of its config differs from COMMON. Odd numbers of heads and unequal sizes where a
# family has them, so that no two sizes can be taken for each other.
MODELS = {
    "bloom": ("bloom", dict(hidden_size=40, n_layer=2, n_head=5, hidden_dropout=0.0, attention_dropout=0.0)),
    "llama": ("llama", dict(**SIZES, tie_word_embeddings=False, rope_parameters=dict(rope_type="default", rope_theta=5000.0))),
    "llama3_rope": ("llama", dict(**SIZES, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "qwen2": ("qwen2", dict(**SIZES, tie_word_embeddings=True)),
    "qwen3": ("qwen3", dict(**SIZES, head_dim=12, tie_word_embeddings=True)),
    "mistral": ("mistral", dict(**SIZES, sliding_window=6, tie_word_embeddings=False)),
    "gemma2": ("gemma2", dict(**SIZES, head_dim=12, query_pre_attn_scalar=10, sliding_window=6, attn_logit_softcapping=5.0,
                              final_logit_softcapping=6.0)),
    "gpt2": ("gpt2", dict(n_embd=32, n_layer=2, n_head=4, n_positions=64, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)),
}  # fmt: skip

EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "bloom_all": ("bloom", dict(target_modules=["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"])),
    "llama_all_linear": ("llama", dict(target_modules="all-linear")),
    "llama_modules_to_save": ("llama", dict(target_modules=["q_proj", "v_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "llama_rslora": ("llama", dict(target_modules=["k_proj", "down_proj"], use_rslora=True)),
    "qwen2_q_v": ("qwen2", dict(target_modules=["q_proj", "v_proj"])),
    "qwen2_tied_modules_to_save": ("qwen2", dict(target_modules=["o_proj"], modules_to_save=["embed_tokens", "lm_head"])),
    "qwen3_all_linear": ("qwen3", dict(target_modules="all-linear")),
    "mistral_patterns": ("mistral", dict(target_modules=["q_proj", "down_proj"], rank_pattern={"q_proj": 6},
                                         alpha_pattern={"down_proj": 20}, layers_to_transform=[1])),
    "gemma2_all_linear": ("gemma2", dict(target_modules="all-linear")),
    "gpt2_conv1d": ("gpt2", dict(target_modules=["c_attn", "c_proj", "c_fc"])),
}  # fmt: skip

# base, targets of the adapter (None trains every weight), and what of the arguments differs from those in `curve`.
CURVES = {
    "llama_lora_linear": ("llama", EVERY, dict(learning_rate=2e-2, lr_scheduler_type="linear")),
    "llama_lora_uneven": ("llama", ["q_proj", "up_proj"], dict(learning_rate=1e-2, lr_scheduler_type="constant", uneven=True)),
    "qwen2_lora_cosine": ("qwen2", EVERY, dict(learning_rate=1e-2, lr_scheduler_type="cosine", max_grad_norm=1e9)),
    "qwen2_full_linear": ("qwen2", None, dict(learning_rate=5e-3, lr_scheduler_type="linear")),
    "bloom_full_cosine_wd": ("bloom", None, dict(learning_rate=3e-3, lr_scheduler_type="cosine", weight_decay=0.1)),
}  # fmt: skip

SCHEDULES = {
    "linear": {},
    "cosine": {},
    "constant": {},
    "constant_with_warmup": {},
    "polynomial": {},
    "cosine_with_restarts": dict(num_cycles=2),
    "inverse_sqrt": {},
    "cosine_with_min_lr": dict(min_lr_rate=0.1),
    "warmup_stable_decay": dict(num_decay_steps=6),
}


def generator(name):
    """Random numbers that depend on the case's name alone."""
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big"))


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def save_tensors(path, tensors):
    """Floats as float32 and integers as int32, none sharing memory."""
    dtype = lambda tensor: torch.float32 if tensor.is_floating_point() else torch.int32
    save_file({name: tensor.detach().to(dtype(tensor)).clone().contiguous() for name, tensor in tensors.items()}, path)


# ------------------------------------------------------------------------------------------------------------------ text


def sample_lines():
    lines = []
    for path in sorted(TEXTS.iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines():
            lines.append(json.loads(line)["text"] if path.suffix == ".jsonl" else line)
    return [line for line in lines if len(line) >= 60]


LINES = sample_lines()
_counts = Counter("".join(LINES))
_frequent = sorted(_counts, key=lambda char: (-_counts[char], char))[: VOCABULARY - 4]
CHARACTERS = {char: 4 + index for index, char in enumerate(_frequent)}


def encode(line):
    """A token a character: these models need ids, not a tokenizer."""
    return [CHARACTERS.get(char, UNKNOWN) for char in line]


def rows_of(name, lengths):
    """As many rows of text, cut to the lengths."""
    random = generator(f"text {name}")
    lines = [LINES[int(torch.randint(len(LINES), (1,), generator=random))] for _ in lengths]
    return [([BEGIN] + encode(line))[:length] for line, length in zip(lines, lengths)]


def pad(rows, side="right", width=None):
    width = width or max(map(len, rows))
    fill = lambda row, value: [value] * (width - len(row))
    join = lambda row, blank: row + blank if side == "right" else blank + row
    ids = torch.tensor([join(row, fill(row, PADDING)) for row in rows])
    return ids, torch.tensor([join([1] * len(row), fill(row, 0)) for row in rows])


def labelled(name, lengths):
    """A right-padded batch whose padding and first tokens carry no label."""
    rows = rows_of(name, lengths)
    ids, mask = pad(rows)
    labels = ids.masked_fill(mask == 0, -100)
    for index in range(len(rows)):
        labels[index, : 2 + index] = -100
    return rows, ids, mask, labels


# ---------------------------------------------------------------------------------------------------------------- models


def load(folder):
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", dtype=torch.float32).eval()


def new_model(name, model_type, values):
    """Initialised by transformers, then all that is 0 or 1 moved away from it and embeddings drawn wider, so that no tensor
    can be left out unnoticed."""
    random = generator(f"model {name}")
    torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=random)))
    config = AutoConfig.for_model(model_type, **{**COMMON, **values})
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
            elif any(part in key for part in ("embed_tokens", "word_embeddings.", "lm_head", "wte")):
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=random))
    return model


def as_before_transformers_5(path):
    """The layout of config.json on the Hub: rope_theta and rope_scaling, torch_dtype."""
    config = json.loads(path.read_text())
    scaling = config.pop("rope_parameters")
    config |= {"rope_theta": scaling.pop("rope_theta"), "rope_scaling": scaling, "torch_dtype": config.pop("dtype", "float32")}
    write_json(path, config)


def make_model(out, name, model_type, values):
    folder = out / "models" / name
    new_model(name, model_type, values).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    if name == "llama3_rope":
        as_before_transformers_5(folder / "config.json")
    rows, ids, mask, labels = labelled(name, [13, 8, 5])
    left, left_mask = pad(rows, "left")
    # Families without positions take none; bloom's follow from the mask.
    positions = {} if model_type == "bloom" else {"position_ids": (left_mask.cumsum(-1) - 1).clamp(min=0)}
    model = load(folder)
    with torch.no_grad():
        run = model(input_ids=ids, attention_mask=mask, labels=labels, output_hidden_states=True)
        last = model(input_ids=left, attention_mask=left_mask, **positions).logits[:, -1]
    tensors = dict(input_ids=ids, attention_mask=mask, labels=labels, logits=run.logits)
    save_tensors(folder / "io.safetensors", {**tensors, "last_hidden_state": run.hidden_states[-1], "left_input_ids": left,
                                             "left_last_logits_position_ids": last})  # fmt: skip
    write_json(folder / "case.json", {"loss": run.loss.item()})
    return {"name": name, "model_type": model_type}


# -------------------------------------------------------------------------------------------------------------- adapters


def add_adapter(base, name, zero_b=False, **config):
    settings = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, **config}
    model = get_peft_model(load(base), LoraConfig(task_type=TaskType.CAUSAL_LM, **settings))
    random = generator(f"adapter {name}")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if "lora_A" in key:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=random))
            elif "lora_B" in key:
                parameter.copy_((0.0 if zero_b else 0.15) * torch.randn(parameter.shape, generator=random))
    return model.train()


def save_adapter(model, folder, base):
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = base
    for key in ("target_modules", "modules_to_save"):  # sets, whose order changes from run to run
        if isinstance(config.get(key), list):
            config[key] = sorted(config[key])
    write_json(path, config)


def make_adapter(out, name, base, config):
    folder = out / "adapters" / name
    model = add_adapter(out / "models" / base, name, **config)
    tensors = load_file(out / "models" / base / "io.safetensors")
    ids, mask, labels = (tensors[key].long() for key in ("input_ids", "attention_mask", "labels"))
    run = model(input_ids=ids, attention_mask=mask, labels=labels)
    run.loss.backward()
    gradients = {f"grad.{key}": p.grad for key, p in model.named_parameters() if p.requires_grad}
    save_adapter(model, folder, f"../../models/{base}")
    again = PeftModel.from_pretrained(load(out / "models" / base), folder).eval()
    with torch.no_grad():
        assert torch.allclose(again(input_ids=ids, attention_mask=mask).logits, run.logits, atol=1e-5), name
    inputs = dict(input_ids=ids, attention_mask=mask, labels=labels)
    save_tensors(folder / "io.safetensors", {**inputs, "logits_row0": run.logits[0], **gradients})
    write_json(folder / "case.json", {"base": f"../../models/{base}", "loss": run.loss.item()})
    return {"name": name, "model_type": MODELS[base][0]}


# ---------------------------------------------------------------------------------------------------------------- curves


def make_curve(out, name, base, targets, changes):
    folder = out / "curves" / name
    folder.mkdir(parents=True)
    uneven = changes.pop("uneven", False)
    steps, batch, accumulation, width = 6, 2, 2, 32
    random = generator(f"lengths {name}")
    count = steps * batch * accumulation
    lengths = torch.randint(5, width, (count,), generator=random).tolist() if uneven else [width] * count
    rows = []
    for row in rows_of(name, lengths):
        (ids,), (mask,) = pad([row], width=width)
        labels = ids.masked_fill(mask == 0, -100)
        if uneven:
            labels[: len(row) // 3] = -100
        rows.append(dict(input_ids=ids, attention_mask=mask, labels=labels))

    model = load(out / "models" / base)
    if targets is not None:
        model = add_adapter(out / "models" / base, name, zero_b=True, target_modules=targets)
        save_adapter(model, folder / "init_adapter", f"../../../models/{base}")
    arguments = dict(per_device_train_batch_size=batch, gradient_accumulation_steps=accumulation, max_steps=steps, warmup_steps=0.25,
                     weight_decay=0.01, max_grad_norm=1.0)  # fmt: skip
    arguments |= changes
    trainer = Recorder(
        model=model,
        args=TrainingArguments(output_dir=str(folder / "output"), use_cpu=True, optim="adamw_torch", logging_steps=1, save_strategy="no",
                               report_to=[], disable_tqdm=True, train_sampling_strategy="sequential", remove_unused_columns=False,
                               dataloader_pin_memory=False, **arguments),
        train_dataset=rows,
        data_collator=default_data_collator,
    )  # fmt: skip
    trainer.train()
    shutil.rmtree(folder / "output", ignore_errors=True)

    if targets is None:
        state = model.state_dict()
        if model.config.tie_word_embeddings:
            state.pop("lm_head.weight")
        save_tensors(folder / "final_weights.safetensors", state)
    else:
        save_adapter(trainer.model, folder / "final_adapter", f"../../../models/{base}")
    save_tensors(folder / "batches.safetensors", trainer.batches)
    write_json(folder / "case.json", {
        "base": f"../../models/{base}",
        "optimizer": {"lr": arguments["learning_rate"], "weight_decay": arguments["weight_decay"]},
        "schedule": arguments["lr_scheduler_type"],
        "warmup": arguments["warmup_steps"],
        "max_steps": steps,
        "max_grad_norm": arguments["max_grad_norm"],
        "per_device_batch": batch,
        "gradient_accumulation_steps": accumulation,
        "steps": [{key: row[key] for key in ("loss", "grad_norm", "learning_rate")} for row in trainer.state.log_history if "grad_norm" in row],
    })  # fmt: skip
    return {"name": name, "model_type": MODELS[base][0], "lora": targets is not None}


class Recorder(Trainer):
    """The Trainer, and the micro-batches it was given."""

    def __init__(self, **arguments):
        super().__init__(**arguments)
        self.batches = {}

    def training_step(self, model, inputs, num_items_in_batch=None):
        prefix = f"micro.{len(self.batches) // 3:02d}"
        self.batches |= {f"{prefix}.{key}": inputs[key] for key in ("input_ids", "attention_mask", "labels")}
        return super().training_step(model, inputs, num_items_in_batch)


def make_schedules(out):
    total, warmup, schedules = 20, 4, {}
    for name, kwargs in SCHEDULES.items():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total, scheduler_specific_kwargs=kwargs)
        rates = []
        for _ in range(total):
            rates.append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
        schedules[name] = {"kwargs": kwargs, "lr_used_at_step": rates}
    write_json(out / "schedules/case.json", {"num_training_steps": total, "num_warmup_steps": warmup, "schedules": schedules})


# ------------------------------------------------------------------------------------------------------------------ main


def make(out):
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    for part in ("models", "adapters", "curves", "schedules"):
        shutil.rmtree(out / part, ignore_errors=True)
    cases = {
        "models": [make_model(out, name, *row) for name, row in MODELS.items()],
        "adapters": [make_adapter(out, name, *row) for name, row in ADAPTERS.items()],
        "curves": [make_curve(out, name, base, targets, dict(changes)) for name, (base, targets, changes) in CURVES.items()],
    }
    make_schedules(out)
    files = sorted(path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json")
    versions = {module.__name__: module.__version__.split("+")[0] for module in (peft, tokenizers, torch, transformers)}
    digests = {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    write_json(out / "manifest.json", {"libraries": versions, "cases": cases, "files": digests})
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FIXTURES
    print(f"{make(target):,} bytes in {target}")
