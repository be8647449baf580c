import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readRows, type DataRow } from "@medgpt/core/data";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { writeRows } from "./write-rows.js";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "medgpt-rows-"))));
afterEach(() => rm(root, { recursive: true }));

const source = (rows: readonly DataRow[]) =>
  async function* () {
    yield* rows;
  };
async function readBack(path: string): Promise<DataRow[]> {
  const rows: DataRow[] = [];
  for await (const { row } of readRows([path])) rows.push(row);
  return rows;
}

const rows: DataRow[] = [
  { id: 1, score: 1, ok: true, text: "发热是什么？\u0000\n", turns: [{ from: "human", value: "Q" }], tags: ["a", "b"] },
  { id: 2, score: 0.5, ok: false, text: "", turns: [], tags: [], pairs: [["Q", "A"], []] },
  { id: -3, score: -0.25, ok: null, text: null, turns: [{ from: "gpt", value: null }], tags: null, late: "x" },
];
/** Every column in every row, as files of columns have it. */
const filled = rows.map((row) => ({ pairs: null, late: null, ...row }));

describe("writeRows", () => {
  it("writes JSON lines that are read as the same rows", async () => {
    const path = join(root, "x.jsonl");
    expect(await writeRows(path, source(rows))).toEqual({ rows: 3, json: [] });
    expect(await readBack(path)).toEqual(JSON.parse(JSON.stringify(rows)));
  });

  it("writes parquet that is read as the same rows: numbers, lists, structs, missing values", async () => {
    const path = join(root, "x.parquet");
    expect(await writeRows(path, source(rows))).toEqual({ rows: 3, json: [] });
    expect(await readBack(path)).toEqual(filled);
  });

  it("writes more rows than a row group has", async () => {
    const many = Array.from({ length: 2_500 }, (_, id) => ({ id, text: `第${id}行` }));
    const path = join(root, "x.parquet");
    expect((await writeRows(path, source(many))).rows).toBe(2_500);
    expect(await readBack(path)).toEqual(many);
  });

  it("keeps as JSON text what has no common type, and what is said to have none", async () => {
    const mixed = [
      { a: 1, b: [1, "x"], tools: [{ name: "f" }], s: { deep: [1, {}] } },
      { a: "one", b: null, tools: null, s: null },
    ];
    const path = join(root, "x.parquet");
    expect(await writeRows(path, source(mixed), { json: ["tools"] })).toEqual({
      rows: 2,
      json: ["a", "b", "tools", "s"],
    });
    expect(await readBack(path)).toEqual([
      { a: "1", b: '[1,"x"]', tools: '[{"name":"f"}]', s: '{"deep":[1,{}]}' },
      { a: '"one"', b: null, tools: null, s: null },
    ]);
  });

  it("leaves nothing behind where the rows end in an error", async () => {
    const broken = async function* (): AsyncGenerator<DataRow> {
      yield { text: "x" };
      throw new Error("no more");
    };
    for (const name of ["x.jsonl", "x.parquet"])
      await expect(writeRows(join(root, name), broken)).rejects.toThrow("no more");
    expect(await readdir(root)).toEqual([]);
  });

  it("refuses half of a surrogate pair in parquet, and keeps it in JSON lines", async () => {
    const half = source([{ text: "\ud800" }]);
    await expect(writeRows(join(root, "x.parquet"), half)).rejects.toThrow("half of a surrogate pair");
    await writeRows(join(root, "x.jsonl"), half);
    expect(await readFile(join(root, "x.jsonl"), "utf8")).toBe('{"text":"\\ud800"}\n');
  });

  it("refuses another ending", async () => {
    await expect(writeRows(join(root, "x.csv"), source(rows))).rejects.toThrow("ending in .jsonl or .parquet");
  });
});
