"""TensorBoard reads the event files that @medgpt/core writes: every tag, step, value, time and text."""

import json
import struct

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from checks import check, node, scratch

WRITE = """
import { createTensorBoardWriter, tensorBoardTag } from "./packages/core/dist/training/tensorboard.js";
const { dir, scalars, text } = JSON.parse(process.argv.at(-1));
const writer = createTensorBoardWriter(dir);
for (const [key, step, value] of scalars) writer.scalar(tensorBoardTag(key), value, step, 1700000000.5);
writer.text("args", text, 0);
writer.close();
"""

SCALARS = [
    ("loss", 1, 3.25),
    ("loss", 10, 2.3412),
    ("loss", 2**31 + 7, 0.1),
    ("learning_rate", 1, 0.0),
    ("grad_norm", 1, 0.51),
    ("eval_loss", 50, 2.5),
    ("train_runtime", 120, 12.5),
]
TEXT = "| lora_rank | 8 |\n| 数据 | 医学 |"


def as_float32(value):
    return struct.unpack("f", struct.pack("f", value))[0]


with scratch() as folder:

    @check("TensorBoard reads scalars and text")
    def _():
        node(WRITE, json.dumps({"dir": folder, "scalars": SCALARS, "text": TEXT}))
        events = EventAccumulator(folder)
        events.Reload()
        expected = {}
        for key, step, value in SCALARS:
            tag = "eval/loss" if key == "eval_loss" else f"train/{key}"
            expected.setdefault(tag, []).append((step, as_float32(value), 1700000000.5))
        got = {
            tag: [(event.step, event.value, event.wall_time) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }
        assert got == expected, got
        (event,) = events.Tensors("args/text_summary")
        text = event.tensor_proto.string_val[0].decode()
        assert text == TEXT, text
