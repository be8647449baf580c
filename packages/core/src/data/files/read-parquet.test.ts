import { readFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { parquetWriteBuffer, type ColumnSource } from "hyparquet-writer";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, hasGoldens, readCase } from "../../testing/goldens.js";
import { readDocuments, type TextDocument } from "./read-documents.js";
import { readParquet, type ParquetRow } from "./read-parquet.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-parquet-"));
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
function write(columnData: ColumnSource[], rowGroupSize = 100): string {
  const path = join(dir, `${count++}.parquet`);
  writeFileSync(path, new Uint8Array(parquetWriteBuffer({ columnData, rowGroupSize })));
  return path;
}
const texts = (...data: (string | null)[]): ColumnSource => ({ name: "text", data, type: "STRING", nullable: true });

async function documents(file: string, from?: TextDocument["position"]): Promise<TextDocument[]> {
  const found: TextDocument[] = [];
  for await (const document of readDocuments([file], { keepLinebreaks: true, from })) found.push(document);
  return found;
}

interface Golden {
  readonly files: Record<string, { rows: number; equals: string; columns: string[]; row_groups?: number }>;
}
const golden = hasGoldens ? readCase<Golden>(goldenDir("K_parquet")).files : {};

/** A value as the reference's .jsonl writes it. */
function plain(value: unknown): unknown {
  if (value === undefined || value === null) return null;
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.getTime();
  if (value instanceof Uint8Array) return { $bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value;
}

describe.skipIf(!hasGoldens)("the reference's files", () => {
  let compared = 0;
  afterAll(() => console.log(`compared ${compared} parquet files by value`));

  it.each(Object.keys(golden))("%s holds its rows", async (name) => {
    const { rows, equals, columns, row_groups } = golden[name]!;
    const file = await readParquet(join(goldenDir("K_parquet"), `${name}.parquet`));
    expect([...file.columns.keys()]).toEqual(columns);
    expect(file.rowCount).toBe(rows);
    const found: ParquetRow[] = [];
    let groups = 0;
    for await (const part of file.read()) {
      expect(part.firstRow).toBe(found.length);
      found.push(...part.rows);
      groups++;
    }
    if (row_groups !== undefined && rows > 0) expect(groups).toBe(row_groups);
    // Beyond 2^53 JSON.parse would round.
    const source = equals.endsWith(".jsonl") ? readFileSync(join(goldenDir("K_parquet"), equals), "utf8") : "";
    const expected = source
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line.replace(/("i64_null": )(-?\d+)/, '$1"$2"')) as Record<string, unknown>)
      .map((row) =>
        Object.fromEntries(
          columns.map((column) => {
            const value = row[column];
            if (column === "i64_null" && typeof value === "string") return [column, BigInt(value)];
            return [column, column === "ts" || column === "d" ? value && Date.parse(dateOf(value as string)) : value];
          }),
        ),
      );
    expect(found.map((row) => plain(row))).toEqual(expected.map((row) => plain(row)));
    compared++;
  });
});

/** Timestamps and dates there have no zone and mean UTC. */
function dateOf(text: string): string {
  return text.includes("T") ? `${text.slice(0, 23)}Z` : text;
}

describe("the text of a .parquet file", () => {
  it("is a document a row, in any row group, from any row on", async () => {
    const file = write([texts("a\n", "好", "", "b", "c"), { name: "id", data: [1, 2, 3, 4, 5], type: "INT32" }], 2);
    const all = await documents(file);
    expect(all.map(({ text, line }) => [line, text])).toEqual([
      [1, "a\n"],
      [2, "好"],
      [4, "b"],
      [5, "c"],
    ]);
    for (const [index, { position }] of all.entries())
      expect(await documents(file, position)).toEqual(all.slice(index));
  });

  it("is held a row group at a time", async () => {
    const file = await readParquet(write([texts("a", "b", "c", "d", "e")], 2));
    const sizes: number[] = [];
    for await (const { rows } of file.read()) sizes.push(rows.length);
    expect(sizes).toEqual([2, 2, 1]);
  });

  it.each<[string, () => string | Uint8Array, RegExp]>([
    [
      "other columns",
      () =>
        write([
          { name: "content", data: ["a"], type: "STRING" },
          { name: "n", data: [1], type: "INT32" },
        ]),
      /: expected a column "text" of strings, got the columns content \(string\), n \(int32\); rename the column or convert the file$/,
    ],
    [
      "a column of numbers",
      () => write([{ name: "text", data: [1, 2], type: "INT32" }]),
      /: expected a column "text" of strings, got the columns text \(int32\); rename/,
    ],
    [
      "a column of lists",
      () => write([{ name: "text", data: [[1], [2]] as never[] }]),
      /: expected a column "text" of strings, got the columns text \((json|list)\)/,
    ],
    [
      "a missing text",
      () => write([texts("a", "b", null)], 2),
      /:row 3: expected a string in the column "text", got null/,
    ],
    [
      "text that is not UTF-8",
      () => {
        const path = write([{ name: "text", data: ["good", "b_d"], type: "STRING", codec: "UNCOMPRESSED" }]);
        const bytes = readFileSync(path);
        return Buffer.from(bytes.toString("latin1").replaceAll("b_d", "b\xe9d"), "latin1");
      },
      /:row 2: expected UTF-8, got the byte 0xe9 after "b"; save the file as UTF-8$/,
    ],
    ["an empty file", () => new Uint8Array(), /: expected a parquet file, but it cannot be decoded \(/],
    [
      "text under that name",
      () => Buffer.from("one line\nanother"),
      /: expected a parquet file, but it cannot be decoded \(/,
    ],
    [
      "a file that is cut off",
      () => readFileSync(write([texts("a", "b")])).subarray(0, -3),
      /: expected a parquet file, but it cannot be decoded \(/,
    ],
    [
      "a footer that is longer than the file",
      () => {
        const bytes = readFileSync(write([texts("a", "b")]));
        bytes.writeUInt32LE(0x7fffffff, bytes.length - 8);
        return bytes;
      },
      /: expected a parquet file, but it cannot be decoded \(/,
    ],
    [
      "pages that are overwritten",
      () => {
        const bytes = readFileSync(write([texts("a".repeat(100), "b".repeat(100))]));
        return bytes.fill(0xff, 4, 60);
      },
      /: expected a parquet file, but it cannot be decoded \(/,
    ],
  ])("is refused for %s", async (_, make, message) => {
    const made = make();
    const path = typeof made === "string" ? made : join(dir, `${count++}.parquet`);
    if (typeof made !== "string") writeFileSync(path, made);
    const failure = await documents(path).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message.slice(path.length)).toMatch(message);
    expect((failure as Error).message.startsWith(path)).toBe(true);
  });

  it("is refused where there is no file", async () => {
    await expect(documents(join(dir, "none.parquet"))).rejects.toThrow(
      /none\.parquet: there is no such file or folder/,
    );
  });
});
