import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, goldenModels } from "../testing/goldens.js";
import { loadableDType, openSafetensors, readTensorData, writeSafetensors, type TensorToWrite } from "./safetensors.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-safetensors-"));
afterAll(() => rmSync(dir, { recursive: true }));

let count = 0;
/** A file with this header and so many data bytes; the length field can be made to lie. */
function fileWith(header: unknown, dataBytes: number, claimed?: number | bigint): string {
  const path = join(dir, `${count++}.safetensors`);
  const text = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(claimed ?? text.length));
  writeFileSync(path, Buffer.concat([length, text, Buffer.alloc(dataBytes)]));
  return path;
}

const entry = (dtype: unknown, shape: unknown, ...data_offsets: unknown[]): object => ({ dtype, shape, data_offsets });

describe("openSafetensors", () => {
  it.each<[string, unknown, number, RegExp, (number | bigint)?]>([
    ["a header longer than the file", {}, 0, /claims 99 bytes but the file has only 10/, 99],
    ["a header beyond the limit", {}, 0, /claims 18446744073709551615 bytes, the limit is 100000000/, 2n ** 64n - 1n],
    ["a header that is no object", "[1]", 0, /does not begin with "\{"/],
    ["an empty header", "", 0, /does not begin with "\{"/],
    ["a header that is no JSON", '{"a":', 0, /is not JSON in UTF-8/],
    [
      "a tensor named twice",
      '{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      0,
      /key "a" twice/,
    ],
    [
      "a dtype given twice",
      '{"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
      0,
      /key "dtype" twice/,
    ],
    ["metadata that is no string map", { __metadata__: { a: 1 } }, 0, /__metadata__ should map strings to strings/],
    ["an entry that is no object", { a: 7 }, 0, /tensor "a" should be an object, got 7/],
    ["an unknown dtype", { a: entry("F31", [1], 0, 4) }, 4, /tensor "a" has the unknown dtype "F31"/],
    ["a dtype that every object has", { a: entry("constructor", [1], 0, 4) }, 4, /unknown dtype "constructor"/],
    ["no shape", { a: entry("F32", undefined, 0, 4) }, 4, /tensor "a" should have a shape/],
    ["a negative length", { a: entry("F32", [-1, -1], 0, 4) }, 4, /non-negative integers, got \[-1,-1\]/],
    ["a fractional length", { a: entry("F32", [0.5], 0, 2) }, 2, /non-negative integers/],
    ["one offset", { a: entry("F32", [1], 0) }, 4, /data_offsets \[begin, end\], got \[0\]/],
    ["offsets the wrong way round", { a: entry("F32", [1], 4, 0) }, 4, /begins at 4, after its end 0/],
    [
      "an end outside the file",
      { a: entry("F32", [2], 0, 8) },
      4,
      /ends at byte 8 of the data, of which the file has 4/,
    ],
    [
      "a shape that does not fit",
      { a: entry("F32", [3], 0, 8) },
      8,
      /of dtype F32 and shape \[3\] does not fit its 8 bytes/,
    ],
    ["an overflowing shape", { a: entry("F32", [2 ** 40, 2 ** 40], 0, 8) }, 8, /does not fit/],
    [
      "overlapping tensors",
      { a: entry("U8", [4], 0, 4), b: entry("U8", [4], 2, 6) },
      6,
      /tensor "b" overlaps another at byte 2/,
    ],
    [
      "a hole",
      { a: entry("U8", [1], 0, 1), b: entry("U8", [1], 3, 4) },
      4,
      /bytes 1 to 3 of the data, before tensor "b"/,
    ],
    ["bytes left over", { a: entry("U8", [1], 0, 1) }, 4, /the last 3 bytes belong to no tensor/],
  ])("refuses %s", async (_, header, dataBytes, message, claimed) => {
    const path = fileWith(header, dataBytes, claimed);
    const failure = await openSafetensors(path).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).toContain(path);
    expect((failure as Error).message).not.toContain("\n");
  });

  it("refuses a file that is missing or has no header", async () => {
    await expect(openSafetensors(join(dir, "none"))).rejects.toThrow(/none: cannot be opened/);
    writeFileSync(join(dir, "short"), "abc");
    await expect(openSafetensors(join(dir, "short"))).rejects.toThrow(/it has 3 bytes/);
  });

  it("lists a dtype the engine lacks, and refuses to load it", async () => {
    const path = fileWith({ a: entry("I64", [1], 0, 8), __proto__x: entry("BOOL", [], 8, 9) }, 9);
    const { tensors } = await openSafetensors(path);
    const a = tensors.get("a")!;
    expect(a).toMatchObject({ storedDtype: "I64", dtype: undefined, size: 1 });
    expect(tensors.get("__proto__x")).toMatchObject({ storedDtype: "BOOL", shape: [], size: 1 });
    expect(() => loadableDType(a)).toThrow(/tensor "a" is stored as I64, expected F32, BF16, F16, I32, U8/);
    await expect(readTensorData(a)).rejects.toBeInstanceOf(InputError);
  });

  it("says so when the file shrank since it was opened", async () => {
    const path = fileWith({ a: entry("F32", [4], 0, 16) }, 16);
    const { tensors } = await openSafetensors(path);
    truncateSync(path, readFileSync(path).length - 1);
    await expect(readTensorData(tensors.get("a")!)).rejects.toThrow(/ended at byte/);
  });
});

const bytesOf = (array: Float32Array | Uint16Array | Int32Array): Uint8Array => new Uint8Array(array.buffer);

describe("writeSafetensors", () => {
  const tensors: TensorToWrite[] = [
    { name: "u", dtype: "u8", shape: [3], data: Uint8Array.of(1, 2, 255) },
    {
      name: "h",
      dtype: "f16",
      shape: [8],
      data: bytesOf(Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x7c00, 0xfc00, 0x8000)),
    },
    { name: "b", dtype: "bf16", shape: [2], data: bytesOf(Uint16Array.of(0x3f80, 0xc2f7)) },
    { name: "é", dtype: "f32", shape: [1, 2], data: () => Promise.resolve(bytesOf(Float32Array.of(1.5, -0.1))) },
    { name: "z", dtype: "f32", shape: [], data: bytesOf(Float32Array.of(3)) },
    { name: "i", dtype: "i32", shape: [2, 0], data: new Uint8Array(0) },
    { name: "0", dtype: "i32", shape: [2], data: bytesOf(Int32Array.of(-7, 2 ** 31 - 1)) },
  ];

  it("writes what it reads, sorted by dtype and name and padded to 8 bytes, whatever order the tensors come in", async () => {
    const path = join(dir, "all.safetensors");
    await writeSafetensors(path, tensors);
    const bytes = readFileSync(path);
    await writeSafetensors(path, tensors.toReversed());
    expect(readFileSync(path)).toEqual(bytes);
    expect(bytes.readBigUInt64LE() % 8n).toBe(0n);

    const file = await openSafetensors(path);
    expect(file.metadata).toEqual({ format: "pt" });
    const byOffset = [...file.tensors.values()].sort((a, b) => a.byteOffset - b.byteOffset || a.size - b.size);
    expect(byOffset.map(({ name }) => name)).toEqual(["z", "é", "0", "i", "b", "h", "u"]);
    const data = async (name: string): Promise<number[]> => [...(await readTensorData(file.tensors.get(name)!))];
    expect(await data("u")).toEqual([1, 2, 255]);
    expect(await data("h")).toEqual([1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, Infinity, -Infinity, -0]);
    expect(await data("b")).toEqual([1, -123.5]);
    expect(await data("é")).toEqual([1.5, Math.fround(-0.1)]);
    expect(await data("z")).toEqual([3]);
    expect(await data("i")).toEqual([]);
    expect(await data("0")).toEqual([-7, 2 ** 31 - 1]);
    expect(file.tensors.get("é")!.shape).toEqual([1, 2]);
  });

  it("leaves neither file nor partial file behind when the data fail or have the wrong size", async () => {
    const empty = mkdtempSync(join(dir, "failing-"));
    const path = join(empty, "x.safetensors");
    const failing = { name: "a", dtype: "f32", shape: [1], data: () => Promise.reject(new Error("no data")) } as const;
    await expect(writeSafetensors(path, [tensors[0]!, failing])).rejects.toThrow("no data");
    await expect(writeSafetensors(path, [{ ...failing, data: new Uint8Array(3) }])).rejects.toThrow(
      /takes 4 bytes, got 3/,
    );
    await expect(writeSafetensors(path, [tensors[0]!, tensors[0]!])).rejects.toThrow(/two tensors are called "u"/);
    expect(readdirSync(empty)).toEqual([]);
  });

  const models = goldenModels("model.safetensors");
  it.skipIf(models.length === 0).each(models)("writes %s byte for byte as Python's safetensors did", async (model) => {
    const original = goldenDir("A_models", model, "model.safetensors");
    const { tensors, metadata } = await openSafetensors(original);
    const bytes = readFileSync(original);
    const copy = join(dir, `${model}.safetensors`);
    await writeSafetensors(
      copy,
      [...tensors.values()].map((info) => {
        const dtype = loadableDType(info);
        const end = info.byteOffset + info.size * (dtype === "f32" ? 4 : 2);
        return { name: info.name, dtype, shape: info.shape, data: bytes.subarray(info.byteOffset, end) };
      }),
      metadata,
    );
    expect(tensors.size).toBeGreaterThan(10);
    expect(readFileSync(copy).equals(bytes)).toBe(true);
  });
});
