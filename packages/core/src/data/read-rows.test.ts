import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readRows, type DataRow } from "./read-rows.js";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "medgpt-rows-"))));
afterEach(() => rm(root, { recursive: true }));

async function rowsOf(name: string, content: string | Uint8Array): Promise<[line: number, row: DataRow][]> {
  const path = join(root, name);
  await writeFile(path, content);
  const rows: [number, DataRow][] = [];
  for await (const { row, line, file } of readRows([path])) {
    expect(file).toBe(path);
    rows.push([line, row]);
  }
  return rows;
}

describe("readRows", () => {
  it.each<[string, string, [number, DataRow][]]>([
    [
      "x.txt",
      "one\r\n\r\n two\rthree",
      [
        [1, { text: "one" }],
        [3, { text: " two" }],
        [4, { text: "three" }],
      ],
    ],
    [
      "x.jsonl",
      '\uFEFF{"a":1}\r\n\n{"a":{"b":[null]}}',
      [
        [1, { a: 1 }],
        [3, { a: { b: [null] } }],
      ],
    ],
    [
      "x.json",
      '[\n{"a":1},\n"text"]',
      [
        [2, { a: 1 }],
        [3, { text: "text" }],
      ],
    ],
    ["data.json", '{"data":\n[{"a":1}]}', [[2, { a: 1 }]]],
    [
      "x.csv",
      'a,b\n1,\n"two\nlines","say ""hi"""\n\n3,x',
      [
        [2, { a: "1", b: "" }],
        [3, { a: "two\nlines", b: 'say "hi"' }],
        [6, { a: "3", b: "x" }],
      ],
    ],
  ])("gives the rows of %s %j with the lines that they begin on", async (name, content, expected) => {
    expect(await rowsOf(name, content)).toEqual(expected);
  });

  it("gives the rows of parquet as JSON has them", async () => {
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "text", data: ["发热", "x"], type: "STRING" },
        { name: "id", data: [7n, 2n ** 60n], type: "INT64" },
        { name: "at", data: [new Date(0), new Date(1)], type: "TIMESTAMP" },
      ],
    });
    expect(await rowsOf("x.parquet", new Uint8Array(buffer))).toEqual([
      [1, { text: "发热", id: 7, at: "1970-01-01T00:00:00.000Z" }],
      [2, { text: "x", id: "1152921504606846976", at: "1970-01-01T00:00:00.001Z" }],
    ]);
  });

  it.each<[string, string | Uint8Array, string]>([
    ["x.jsonl", "[1]", "x.jsonl:1:1: expected a JSON object, got [1]"],
    ["x.jsonl", '{"a":1}\n{"a":', "x.jsonl:2:6: expected a JSON object, got the end of the line here"],
    ["x.jsonl", Buffer.from([0x7b, 0xff]), "x.jsonl:1:2: expected UTF-8"],
    [
      "x.jsonl",
      `{"a":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
      "x.jsonl:1:1: expected a JSON object, got one that is nested",
    ],
    ["x.json", "[7]", "x.json:1:2: expected a JSON object, got 7"],
    ["x.csv", "a,\n1,2", 'x.csv:1: expected a name for each column, each another, got ""'],
    ["x.csv", "a,__proto__\n1,2", 'got "__proto__"'],
    ["x.csv", "a,b\n1,2\n1", "x.csv:3: expected CSV"],
    ["x.csv", 'a,b\n1,"2', "x.csv:2: expected CSV"],
    ["x.csv", Buffer.from("a\nx\xff\n", "latin1"), "x.csv:2:2: expected UTF-8"],
    ["x.parquet", "PAR1", "expected a parquet file"],
    ["x.xml", "<a/>", "expected a file ending in .txt, .jsonl, .json, .csv, .parquet"],
  ])("refuses %s %j", async (name, content, message) => {
    await expect(rowsOf(name, content)).rejects.toThrow(message);
  });

  it("reads a record of CSV of a megabyte, and stops when its reader does", async () => {
    const long = "字".repeat(400_000);
    const path = join(root, "x.csv");
    await writeFile(path, `a,b\n1,"${long}"\n${"2,x\n".repeat(100_000)}`);
    for await (const { row } of readRows([path])) {
      expect(row).toEqual({ a: "1", b: long });
      break;
    }
  });
});
