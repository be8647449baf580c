import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { readDocuments } from "./read-documents.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-check-parquet-"));
afterAll(() => rmSync(dir, { recursive: true }));

/** A value of Thrift's compact protocol, with the number of its type. */
interface Value {
  readonly type: number;
  readonly bytes: Uint8Array;
}
type Fields = Readonly<Record<number, Value | undefined>>;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return Buffer.from([...bytes, Number(value)]);
}
const zigzag = (value: bigint): Buffer => varint(value < 0n ? -value * 2n - 1n : value * 2n);
const int = (value: number): Value => ({ type: 5, bytes: zigzag(BigInt(value)) });
const long = (value: number): Value => ({ type: 6, bytes: zigzag(BigInt(value)) });
const text = (value: string): Value => ({
  type: 8,
  bytes: Buffer.concat([varint(BigInt(value.length)), Buffer.from(value)]),
});
const list = (...values: Value[]): Value => listOf(values.length, values[0]!.type, ...values);
const listOf = (count: number, type: number, ...values: Value[]): Value => ({
  type: 9,
  bytes: Buffer.concat([Buffer.of(0xf0 | type), varint(BigInt(count)), ...values.map(({ bytes }) => bytes)]),
});
function struct(fields: Fields): Value {
  const parts: Uint8Array[] = [];
  for (const [id, value] of Object.entries(fields))
    if (value !== undefined) parts.push(Buffer.of(value.type), zigzag(BigInt(id)), value.bytes);
  return { type: 12, bytes: Buffer.concat([...parts, Buffer.of(0)]) };
}

/** What differs from a good file of the texts "one" and "two". Fields are by the numbers of parquet.thrift. */
interface Damage {
  readonly page?: Uint8Array;
  readonly header?: Fields; // of the page
  readonly chunk?: Fields; // ColumnMetaData
  readonly column?: Fields; // SchemaElement
  readonly group?: Fields;
  readonly file?: Fields;
  readonly length?: number;
  readonly magic?: string;
}

const plain = Buffer.from("\x03\0\0\0one\x03\0\0\0two");

function parquet({ page = plain, header, chunk, column, group, file, length, magic = "PAR1" }: Damage): Buffer {
  const size = int(page.length);
  const data = Buffer.concat([struct({ 1: int(0), 2: size, 3: size, 5: dataPage(2, 0), ...header }).bytes, page]);
  const total = long(data.length);
  const meta = { 1: int(6), 2: list(int(0)), 3: list(text("text")), 4: int(0), 5: long(2), 6: total, 7: total };
  const columns = list(struct({ 2: long(0), 3: struct({ ...meta, 9: long(4), ...chunk }) }));
  const schema = list(
    struct({ 4: text("schema"), 5: int(1) }),
    struct({ 1: int(6), 3: int(0), 4: text("text"), 6: int(0), ...column }),
  );
  const groups = list(struct({ 1: columns, 2: total, 3: long(2), ...group }));
  const footer = struct({ 1: int(1), 2: schema, 3: long(2), 4: groups, ...file }).bytes;
  const end = Buffer.alloc(4);
  end.writeUInt32LE(length ?? footer.length);
  return Buffer.concat([Buffer.from("PAR1"), data, footer, end, Buffer.from(magic)]);
}

const dataPage = (values: number, encoding: number): Value =>
  struct({ 1: int(values), 2: int(encoding), 3: int(3), 4: int(3) });
const dataPageV2 = (fields: Fields): Fields => ({ 1: int(3), 5: undefined, 8: struct(fields) });
const levels = { 5: int(0), 6: int(0) };
const optional: Fields = { 3: int(1) };
/** Numbers in DELTA_BINARY_PACKED that are all the same. */
const same = (value: number, count: number): Buffer =>
  Buffer.concat([...[128n, 4n, BigInt(count)].map(varint), zigzag(BigInt(value)), Buffer.alloc(5)]);

let count = 0;
async function read(bytes: Uint8Array): Promise<string[]> {
  const path = join(dir, `${count++}.parquet`);
  writeFileSync(path, bytes);
  return readFile(path);
}
async function readFile(path: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { text } of readDocuments([path], { keepLinebreaks: true })) found.push(text);
  return found;
}
const failureOf = (path: string): Promise<unknown> => readFile(path).catch((error: unknown) => error);

describe("a parquet file", () => {
  it.each<[string, Damage, string[]]>([
    ["as it is", {}, ["one", "two"]],
    ["with levels", { column: optional, page: Buffer.concat([Buffer.of(2, 0, 0, 0, 4, 1), plain]) }, ["one", "two"]],
    [
      "with a page of version 2",
      { header: dataPageV2({ 1: int(2), 2: int(0), 3: int(2), 4: int(0), ...levels }) },
      ["one", "two"],
    ],
    [
      "of lengths before the texts",
      { header: { 5: dataPage(2, 6) }, page: Buffer.concat([same(3, 2), Buffer.from("onetwo")]) },
      ["one", "two"],
    ],
    [
      "of texts that begin alike",
      { header: { 5: dataPage(2, 7) }, page: Buffer.concat([same(0, 2), same(3, 2), Buffer.from("onetwo")]) },
      ["one", "two"],
    ],
  ])("is read %s", async (_, damage, texts) => {
    expect(await read(parquet(damage))).toEqual(texts);
  });

  it.each<[string, Uint8Array | Damage, RegExp]>([
    ["no bytes", Buffer.alloc(0), /\(0 bytes are too few\)/],
    ["a footer that is cut off", parquet({}).subarray(0, -20), /\(it does not end with "PAR1"\)/],
    ["another ending", { magic: "PAR2" }, /\(it does not end with "PAR1"\)/],
    [
      "encryption",
      { magic: "PARE" },
      /: expected a parquet file without encryption, got an encrypted one; decrypt it$/,
    ],
    ["a footer longer than the file", { length: 1e9 }, /\(metadata of 1000000000 bytes in a file of \d+\)/],
    ["a footer shorter than it is", { length: 30 }, /cannot be decoded/],
    ["a negative number of rows", { group: { 3: long(-2) } }, /\(a row group of -2 rows\)/],
    ["no number of rows", { group: { 3: undefined } }, /\(a row group of undefined rows\)/],
    ["rows that do not add up", { file: { 3: long(3) } }, /\(3 rows, of which the row groups have 2\)/],
    [
      "more rows than there are",
      { file: { 3: long(3) }, group: { 3: long(3) } },
      /row 3: expected a string .*, got null/,
    ],
    [
      "a huge number of rows",
      { file: { 3: long(1e12) }, group: { 3: long(1e12) } },
      /expected row groups of at most 16777216 rows/,
    ],
    [
      "another column",
      { column: { 4: text("content") } },
      /expected a column "text" of strings, got the columns content \(string\)/,
    ],
    ["a column without a name", { column: { 4: undefined } }, /\(a column without a name\)/],
    [
      "a column of numbers",
      { column: { 1: int(1), 6: undefined } },
      /expected a column "text" of strings, got the columns text \(int32\)/,
    ],
    ["no schema", { file: { 2: undefined } }, /\(a part of it is missing\)/],
    ["columns that are not there", { chunk: { 3: list(text("te\nxt")) } }, /\(parquet column not found: text\)/],
    ["an unknown compression", { chunk: { 4: int(99) } }, /\(an unknown compression\)/],
    [
      "pages outside the file",
      { chunk: { 9: long(1e9) } },
      /\(bytes 1000000000 to \d+ of a file of \d+ bytes are asked for\)/,
    ],
    ["pages before the file", { chunk: { 9: long(-9) } }, /\(bytes -9 to \d+ of a file of \d+ bytes are asked for\)/],
    [
      "a column longer than the file",
      { chunk: { 7: long(1e9) } },
      /\(bytes 4 to 1000000004 of a file of \d+ bytes are asked for\)/,
    ],
    [
      "a column of a negative length",
      { chunk: { 7: long(-1) } },
      /\(bytes 4 to 3 of a file of \d+ bytes are asked for\)/,
    ],
    [
      "a page longer than the file",
      { header: { 3: int(1e9) } },
      /\(a page of 1000000000 bytes where at most 14 can be\)/,
    ],
    ["a page of a negative length", { header: { 3: int(-20) } }, /\(a page of -20 bytes where at most 14 can be\)/],
    [
      "a page that unpacks to 2 GB",
      { header: { 2: int(2 ** 31 - 1) } },
      /\(a page of 2147483647 bytes where at most 1073741824 can be\)/,
    ],
    ["a page of too many values", { header: { 5: dataPage(3, 0) } }, /\(a page of 3 values where at most 2 can be\)/],
    ["an unknown kind of page", { header: { 1: int(9) } }, /\(a page of the unknown kind 9\)/],
    ["an unknown encoding", { header: { 5: dataPage(2, 77) } }, /unsupported encoding/],
    // What follows would have the library go round in circles or fill all memory.
    [
      "a page of version 2 without its lengths",
      { column: optional, header: dataPageV2({ 1: int(2) }), page: Buffer.alloc(20) },
      /\(a page of an unknown number of missing values where/,
    ],
    [
      "a list of 2^31 structs",
      { file: { 5: listOf(2 ** 31 - 1, 12) } },
      /\(a list of 2147483647 values in \d+ bytes\)/,
    ],
    [
      "metadata nested without end",
      { file: { 9: { type: 12, bytes: Buffer.alloc(200, 0x1c) } } },
      /\(metadata that is nested more than 32 deep\)/,
    ],
    [
      "a number of many bits",
      { file: { 9: { type: 6, bytes: Buffer.alloc(200, 0xff) } } },
      /\(a number of more than 64 bits\)/,
    ],
    [
      "levels of 2^30 rows",
      { column: optional, page: Buffer.concat([Buffer.of(6, 0, 0, 0), varint(2n ** 31n), Buffer.of(1), plain]) },
      /\(a run of 1073741824 values where 2 are left\)/,
    ],
    [
      "indices of no bits",
      {
        header: dataPageV2({ 1: int(2), 2: int(0), 3: int(2), 4: int(8), ...levels }),
        page: Buffer.concat([Buffer.of(0), varint(2n ** 29n + 1n), plain]),
      },
      /\(a run of 2147483648 values where 2 are left\)/,
    ],
    [
      "indices of 200 bits",
      { header: { 5: dataPage(2, 8) }, page: Buffer.of(200, 2, 0, 0) },
      /\(indices of 200 bits\)/,
    ],
    [
      "a block of -1 parts",
      { header: { 5: dataPage(2, 6) }, page: Buffer.concat([varint(128n), varint(2n ** 32n - 1n), Buffer.alloc(20)]) },
      /\(blocks of 128 numbers in 4294967295 parts\)/,
    ],
    [
      "a beginning that there is not",
      { header: { 5: dataPage(2, 7) }, page: Buffer.concat([same(2 ** 30, 2), same(3, 2), Buffer.from("onetwo")]) },
      /\(a string that begins with 1073741824 bytes of one of 0\)/,
    ],
    [
      "a frame of LZ4 that leads back",
      { chunk: { 4: int(5) }, page: Buffer.from("00000000fffffff8".repeat(2), "hex") },
      /\(lz4 offset out of range/,
    ],
  ])("is refused for %s", async (_, damage, message) => {
    const path = join(dir, `${count++}.parquet`);
    writeFileSync(path, damage instanceof Uint8Array ? damage : parquet(damage));
    const failure = await failureOf(path);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message.startsWith(path)).toBe(true);
    expect((failure as Error).message).not.toContain("\n");
  });

  it("is refused for a folder of that name", async () => {
    const path = join(dir, "folder.parquet");
    mkdirSync(path);
    const failure = await failureOf(path);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toBe(`${path}: expected a file, got a folder; name the files in it`);
  });
});
