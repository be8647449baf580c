"""Trains the small byte-level BPE in tokenizer/ on the synthetic texts in pretrain/.

    python datasets/sample/train_tokenizer.py        (needs: pip install tokenizers)

It is there so that examples and tests have a tokenizer of their own; no package needs this script at run time.
"""
import json
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

here = Path(__file__).resolve().parent
END = "<|endoftext|>"


def texts():
    for path in sorted((here / "pretrain").iterdir()):
        for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
            yield json.loads(line)["text"] if path.suffix == ".jsonl" else line


tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
tokenizer.train_from_iterator(
    texts(),
    trainers.BpeTrainer(
        vocab_size=2000,
        special_tokens=[AddedToken(END, special=True, normalized=False)],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    ),
)
out = here / "tokenizer"
out.mkdir(exist_ok=True)
tokenizer.save(str(out / "tokenizer.json"))
config = {
    "bos_token": None,
    "clean_up_tokenization_spaces": False,
    "eos_token": END,
    "model_max_length": 2048,
    "pad_token": END,
    "padding_side": "right",
    "tokenizer_class": "PreTrainedTokenizerFast",
    "unk_token": None,
}
(out / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
print(tokenizer.get_vocab_size(), "tokens")
