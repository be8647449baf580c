import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { parquetWriteBuffer } from "hyparquet-writer";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { JsonNumber, stringifyJson } from "../../json/exact-json.js";
import type { DataRow } from "./data-row.js";
import { readRows, readRowsOrFaults, refuseHalfPair } from "./read-rows.js";

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
      [2, { text: "x", id: new JsonNumber("1152921504606846976"), at: "1970-01-01T00:00:00.001Z" }],
    ]);
  });

  it("gives numbers, decimals and times of parquet with every digit", async () => {
    const numeric = { type: "FIXED_LEN_BYTE_ARRAY", type_length: 16, converted_type: "DECIMAL" } as const;
    const buffer = parquetWriteBuffer({
      columnData: [
        { name: "long", data: [2n ** 63n - 1n, -(2n ** 63n)] },
        { name: "double", data: [1, Infinity] },
        { name: "zero", data: [-0, NaN] },
        { name: "money", data: [12345678901234567890n, -5n] },
        { name: "micros", data: [1n, -1n] },
        { name: "day", data: [0, 19_000] },
        { name: "__proto__", data: ["a", "b"] },
      ],
      schema: [
        { name: "root", num_children: 7 },
        { name: "long", type: "INT64" },
        { name: "double", type: "DOUBLE" },
        { name: "zero", type: "DOUBLE" },
        { name: "money", ...numeric, precision: 20, scale: 2 },
        { name: "micros", type: "INT64", converted_type: "TIMESTAMP_MICROS" },
        { name: "day", type: "INT32", converted_type: "DATE" },
        { name: "__proto__", type: "BYTE_ARRAY", converted_type: "UTF8" },
      ],
    });
    const rows = await rowsOf("x.parquet", new Uint8Array(buffer));
    expect(rows.map(([, row]) => stringifyJson(row))).toEqual([
      '{"long":9223372036854775807,"double":1.0,"zero":-0.0,"money":123456789012345678.90,"micros":"1970-01-01T00:00:00.000001Z","day":"1970-01-01","__proto__":"a"}',
      '{"long":-9223372036854775808,"double":1e999,"zero":null,"money":-0.05,"micros":"1969-12-31T23:59:59.999999Z","day":"2022-01-08","__proto__":"b"}',
    ]);
  });

  it.each([
    ["x.csv", "a;b\n1;2,5\n", "semicolons", { a: "1", b: "2,5" }],
    ["x.csv", 'a\tb\n"1\t";2\n', "tabs", undefined],
    ["x.csv", "a|b\n1|\n", "vertical bars", { a: "1", b: "" }],
    ["x.tsv", "a,b\n1,2\n", "commas", { a: "1", b: "2" }],
  ])(
    "tells what separates the cells of %s %j by its header, and says so",
    async (name, content, separators, expected) => {
      const path = join(root, name);
      await writeFile(path, content);
      const notes: string[] = [];
      const rows: DataRow[] = [];
      const read = async (): Promise<void> => {
        for await (const { row } of readRows([path], { onNote: (text) => notes.push(text) })) rows.push(row);
      };
      if (expected === undefined) await expect(read()).rejects.toThrow("x.csv:2: expected CSV");
      else await read();
      expect(notes).toEqual([`${path}: the cells are separated by ${separators}`]);
      expect(rows).toEqual(expected === undefined ? [] : [expected]);
    },
  );

  it("gives a fault for what is no row, with its place, and the rows after it", async () => {
    const faultsOf = async (name: string, content: string | Uint8Array): Promise<unknown[]> => {
      const path = join(root, name);
      await writeFile(path, content);
      const found: unknown[] = [];
      for await (const read of readRowsOrFaults([path], { onHalfPair: refuseHalfPair }))
        found.push("refused" in read ? [read.place.slice(root.length + 1), read.source] : read.line);
      return found;
    };
    expect(
      await faultsOf("x.jsonl", '{"a":1}\nnull\n{bad\n\n{"a":"\\ud83d"}\n{"a":"\\\\ud83d \\ud83d\\ude00"}\n'),
    ).toEqual([
      1,
      ["x.jsonl:2:1", { text: "null" }],
      ["x.jsonl:3:2", { text: "{bad" }],
      ["x.jsonl:5:7", { text: '{"a":"\\ud83d"}' }],
      6,
    ]);
    expect(await faultsOf("y.jsonl", Buffer.from('{"a":"\xff"}\n{"a":1}', "latin1"))).toEqual([
      ["y.jsonl:1:7", { base64: Buffer.from('{"a":"\xff"}', "latin1").toString("base64") }],
      2,
    ]);
    expect(await faultsOf("x.json", '[{"a":1},\n7,\n{"\\uDE00":\n1}]')).toEqual([
      1,
      ["x.json:2:1", { text: "7" }],
      ["x.json:3:3", { text: '{"\\uDE00":\n1}' }],
    ]);
    expect(await faultsOf("x.csv", 'a,b\n\n"1\n",2\n\n"x\n\ny"\n , \n1,2,3\r\n4,5')).toEqual([
      3,
      ["x.csv:6", { row: ["x\n\ny"] }],
      ["x.csv:10", { row: ["1", "2", "3"] }],
      11,
    ]);
    expect(await faultsOf("mac.csv", 'a,b\r"1\r2",3\r4\r')).toEqual([2, ["mac.csv:4", { row: ["4"] }]]);
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
    ["x.csv", "a,\n1,2", "x.csv:1: expected a name for each column, got none for column 2 of 2"],
    ["x.csv", "a,b,a\n1,2,3", 'x.csv:1: expected another name for each column, got "a" twice'],
    ["x.csv", "a,b\n1,2\n1", "x.csv:3: expected 2 cells (a, b), got 1 cell; add what is missing"],
    ["x.csv", 'a,b\n1,"2\n3,4', 'x.csv:2: expected CSV, got a row with a quote (") that is not closed'],
    ["x.csv", 'a,b\n1,2\n1,"2"3', "x.csv:3: expected CSV, got a row with more text after a cell's closing quote"],
    [
      "x.csv",
      'a,b\n1,2"3"',
      'x.csv:2: expected CSV, got a row with a quote (") in a cell that does not begin with one',
    ],
    ["x.csv", Buffer.from("\xce\xca\xcc\xe2,b\n", "latin1"), "(it looks like GBK: iconv -f gbk -t utf-8"],
    ["x.csv", Buffer.from("\ufeffa,b\n", "utf16le"), "(it looks like UTF-16: iconv -f utf-16 -t utf-8"],
    [
      "x.csv",
      Buffer.from("question,b\n问,答\n", "utf16le"),
      "this is text in UTF-16; make it UTF-8: iconv -f utf-16le",
    ],
    [
      "x.csv",
      Buffer.from("question,b\n", "utf16le").swap16(),
      "this is text in UTF-16; make it UTF-8: iconv -f utf-16be",
    ],
    ["x.jsonl", gzipSync('{"a":1}'), "x.jsonl: expected text in UTF-8, but this is a gzip archive; unpack it first"],
    ["x.txt", "PK\x03\x04", "x.txt: expected text in UTF-8, but this is a zip archive or an Excel workbook"],
    ["x.json", "PAR1\x15\x04", "x.json: expected text in UTF-8, but this is a parquet file; give it a name"],
    [
      "x.jsonl",
      '[\n{"a":1}]',
      "x.jsonl:1:1: expected a JSON object on each line, got a list; if the file is one JSON list",
    ],
    ["x.jsonl", '[{"a":1},{"a":2}]', "x.jsonl:1:1: expected a JSON object on each line, got a list"],
    ["x.csv", Buffer.from("a\nx\xff\n", "latin1"), "x.csv:2:2: expected UTF-8"],
    ["x.parquet", "PAR1", "expected a parquet file"],
    ["x.xml", "<a/>", "expected a file ending in .txt, .jsonl, .json, .csv, .tsv, .parquet"],
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
