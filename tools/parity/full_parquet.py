"""pyarrow opens the nested parquet files that `medgpt data` writes, with the values that were written."""

import json
from pathlib import Path

import pyarrow.parquet as parquet

from checks import check, node, scratch, shared

WRITE = """
import { readFileSync } from "node:fs";
import { writeRows } from "./packages/data-medical/dist/rows/write-rows.js";
const [source, target] = process.argv.slice(-2);
const rows = readFileSync(source, "utf8").trim().split("\\n").map((line) => JSON.parse(line));
await writeRows(target, async function* () { yield* rows; }, { json: ["tools"] });
"""

CONVERT = """
import { main } from "./packages/cli/dist/main.js";
process.exitCode = await main(["data", "convert", ...process.argv.slice(-7)]);
"""


def plain(rows):
    """Rows without what is missing, which files of columns have as null."""
    if isinstance(rows, dict):
        return {name: plain(value) for name, value in rows.items() if value is not None}
    return [plain(row) for row in rows] if isinstance(rows, list) else rows


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


ROWS = [
    {"id": 1, "big": 2**53 - 1, "score": 0.1, "ok": True, "text": "发热\u0000🙂\n", "tags": ["a", "", "b"], "late": None},
    {"id": -2, "score": 1e300, "ok": False, "text": "", "tags": [], "pairs": [["问", "答"], []], "late": "x"},
    {"id": 3, "score": -0.0, "ok": None, "text": None, "tags": None, "messages": []},
    {
        "messages": [
            {"role": "user", "content": "问"},
            {"role": "assistant", "content": "", "calls": [{"id": "0", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": None},
        ],
        "tags": ["x", None],
    },
] * 700  # more than a row group

with scratch() as folder:
    folder = Path(folder)

    @check("pyarrow reads lists, structs, numbers, text and missing values as they were written")
    def _():
        source, target = folder / "rows.jsonl", folder / "rows.parquet"
        source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
        node(WRITE, source, target)
        file = parquet.ParquetFile(target)
        assert file.metadata.num_row_groups == 3, file.metadata
        found = file.read().to_pylist()
        assert len(found) == len(ROWS), len(found)
        for row, expected in zip(found, ROWS):
            assert plain(row) == plain(expected), (row, expected)
        # An empty list is no missing one.
        assert [row["tags"] for row in found[:3]] == [["a", "", "b"], [], None], found[:3]
        assert found[2]["messages"] == [] and found[0]["messages"] is None, found[:3]

    for name, target in (
        ("sft/medical_sft_1K_format", "messages"),
        ("sft/sharegpt_zh_1K_format", "sharegpt"),
        ("sft/glaive_toolcall_zh_demo", "sharegpt"),
        ("reward/dpo_zh_500", "preference"),
        ("grpo/sample", "prompt"),
    ):

        @check(f"pyarrow reads {name} as {target}, equal to the JSON lines")
        def _():
            source = shared(f"data/{name}.jsonl")
            outputs = [folder / f"{Path(name).name}.{ending}" for ending in ("jsonl", "parquet")]
            for output in outputs:
                # Rows with a question or an answer without text are refused.
                refused = f"{output}.refused.jsonl"
                node(CONVERT, source, "--to", target, "--out", output, "--quarantine", refused)
            found = parquet.read_table(outputs[1]).to_pylist()
            assert plain(found) == plain(lines(outputs[0])), "other values than the JSON lines have"
