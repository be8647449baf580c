import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { readParquet, readRows, type DataRow } from "@medgpt/core/data";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { writeRows } from "./write-rows.js";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "medgpt-rows-"))));
afterEach(() => rm(root, { recursive: true }));

const source = (rows: readonly DataRow[]) =>
  async function* () {
    yield* rows;
  };
async function* rowsOf(path: string): AsyncGenerator<DataRow> {
  for await (const { row } of readRows([path])) yield row;
}
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
    expect(JSON.parse(JSON.stringify(await readBack(path)))).toEqual(filled);
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

  it.each(["x.parquet", "x.jsonl"])("refuses half of a surrogate pair in %s, in values and names", async (name) => {
    for (const row of [{ text: "\ud800" }, { texts: ["a", { b: "\udc00x" }] }])
      await expect(writeRows(join(root, name), source([row]))).rejects.toThrow("half of a surrogate pair");
    await expect(writeRows(join(root, "x.jsonl"), source([{ "\ud83d": 1 }]))).rejects.toThrow("half of a surrogate");
    expect(await readdir(root)).toEqual([]);
  });

  it("writes numbers as they came, in parquet where int64 or floating point holds them and else as text", async () => {
    const text =
      '{"long":9223372036854775807,"small":-5,"float":1.0,"mixed":1,"huge":1e999,"wide":18446744073709551616,"digits":0.12345678901234567890,"zero":-0,"deep":{"id":[9007199254740993]}}\n' +
      '{"long":7,"small":null,"float":2.50,"mixed":0.5,"huge":null,"wide":1,"digits":1.5,"zero":0,"deep":{"id":[]}}\n';
    await writeFile(join(root, "in.jsonl"), text);
    const rows = () => rowsOf(join(root, "in.jsonl"));
    await writeRows(join(root, "x.jsonl"), rows);
    expect(await readFile(join(root, "x.jsonl"), "utf8")).toBe(text);

    const { json } = await writeRows(join(root, "x.parquet"), rows);
    expect(json).toEqual(["huge", "wide", "digits"]);
    const file = await readParquet(join(root, "x.parquet"));
    expect([...file.columns]).toMatchObject([
      ["long", "int64"],
      ["small", "int64"],
      ["float", "double"],
      ["mixed", "double"],
      ["huge", "string"],
      ["wide", "string"],
      ["digits", "string"],
      ["zero", "double"],
      ["deep", "struct"],
    ]);
    const found = [];
    for await (const { rows } of file.read()) found.push(...rows);
    expect(found).toMatchObject([
      { long: 2n ** 63n - 1n, small: -5n, float: 1, mixed: 1, huge: "1e999", wide: "18446744073709551616", zero: -0 },
      { long: 7n, float: 2.5, mixed: 0.5, wide: "1", digits: "1.5", zero: 0 },
    ]);
    expect(found[0]).toMatchObject({ digits: "0.12345678901234567890", deep: { id: [9007199254740993n] } });
  });

  it("takes columns of any name, and rows that lack them", async () => {
    const text =
      '{"__proto__":{"source":"ward"},"constructor":1,"hasOwnProperty":"x","toString":[1],"":"e","a.b":2,"a\\nb":{"__proto__":3}}\n{"last":true}\n';
    await writeFile(join(root, "in.jsonl"), text);
    const rows = () => rowsOf(join(root, "in.jsonl"));
    await writeRows(join(root, "x.jsonl"), rows);
    expect(await readFile(join(root, "x.jsonl"), "utf8")).toBe(text);
    expect(await writeRows(join(root, "x.parquet"), rows)).toEqual({ rows: 2, json: ["a\nb"] });
    const lines = [];
    for await (const row of rowsOf(join(root, "x.parquet"))) lines.push(JSON.stringify(row));
    expect(lines).toEqual([
      '{"__proto__":{"source":"ward"},"constructor":1,"hasOwnProperty":"x","toString":[1],"":"e","a.b":2,"a\\nb":"{\\"__proto__\\":3}","last":null}',
      '{"__proto__":null,"constructor":null,"hasOwnProperty":null,"toString":null,"":null,"a.b":null,"a\\nb":null,"last":true}',
    ]);
  });

  it("refuses another ending", async () => {
    await expect(writeRows(join(root, "x.csv"), source(rows))).rejects.toThrow("ending in .jsonl or .parquet");
  });
});
