import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { createTensorBoardWriter, defaultLoggingDir, tensorBoardTag } from "./tensorboard.js";

const newDir = () => mkdtempSync(join(tmpdir(), "medgpt-tensorboard-"));

/** CRC-32C one bit at a time, straight from its definition. */
function crc32c(data: Uint8Array): number {
  let crc = ~0;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

const masked = (data: Uint8Array): bigint => {
  const crc = BigInt(crc32c(data));
  return (((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn;
};

/** The records of a TFRecord file, checksums checked. */
function readRecords(file: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < file.length;) {
    const length = Number(file.readBigUInt64LE(at));
    expect(BigInt(file.readUInt32LE(at + 8))).toBe(masked(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(data).toHaveLength(length);
    expect(BigInt(file.readUInt32LE(at + 12 + length))).toBe(masked(data));
    records.push(data);
    at += length + 16;
  }
  return records;
}

type Fields = Map<number, (bigint | number | Buffer)[]>;

/** The fields of a protocol buffer by number: varints as bigint, doubles and floats as number, bytes as they are. */
function readMessage(data: Buffer): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = data[at++]!;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = Number(varint());
    let value: bigint | number | Buffer;
    if ((key & 7) === 0) value = varint();
    else if ((key & 7) === 1) value = data.readDoubleLE((at += 8) - 8);
    else if ((key & 7) === 5) value = data.readFloatLE((at += 4) - 4);
    else {
      const length = Number(varint());
      value = data.subarray(at, (at += length));
    }
    fields.set(key >> 3, [...(fields.get(key >> 3) ?? []), value]);
  }
  return fields;
}

const sub = (fields: Fields, field: number): Fields => readMessage(fields.get(field)![0] as Buffer);
const text = (fields: Fields, field: number): string => String(fields.get(field)![0]);

describe("a TensorBoard file", () => {
  it("has the check value of CRC-32C in its reader", () => {
    expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  });

  it("starts with its version and holds every scalar", () => {
    const dir = join(newDir(), "runs", "one");
    const writer = createTensorBoardWriter(dir);
    const rows: [string, number, number][] = [
      ["train/loss", 2.5, 1],
      ["train/learning_rate", 0, 127],
      ["eval/loss", -1.25, 128],
      ["train/grad_norm", Number.POSITIVE_INFINITY, 2 ** 31],
      ["médical/损失", 0.5, 2 ** 40 + 5],
    ];
    for (const [tag, value, step] of rows) writer.scalar(tag, value, step, 1700000000.25);
    writer.close();

    expect(readdirSync(dir)).toHaveLength(1);
    expect(writer.path).toMatch(/events\.out\.tfevents\.\d{10}\..+\.\d+\.\d+$/);
    const [first, ...rest] = readRecords(readFileSync(writer.path)).map(readMessage);
    expect(text(first!, 3)).toBe("brain.Event:2");
    const read = rest.map((event) => {
      expect(event.get(1)).toEqual([1700000000.25]);
      const value = sub(sub(event, 5), 1);
      return [text(value, 1), value.get(2)![0], Number(event.get(2)![0])];
    });
    expect(read).toEqual(rows);
  });

  it("holds text as a string tensor of one element", () => {
    const writer = createTensorBoardWriter(newDir());
    writer.text("args", "| lora_rank | 8 |", 0);
    writer.close();
    const event = readMessage(readRecords(readFileSync(writer.path))[1]!);
    const value = sub(sub(event, 5), 1);
    expect(text(value, 1)).toBe("args/text_summary");
    const tensor = sub(value, 8);
    expect(tensor.get(1)).toEqual([7n]);
    expect(sub(sub(tensor, 2), 2).get(1)).toEqual([1n]);
    expect(text(tensor, 8)).toBe("| lora_rank | 8 |");
    expect(text(sub(sub(value, 9), 1), 1)).toBe("text");
  });

  it("can be read before it is closed, and two in one second do not collide", () => {
    const dir = newDir();
    const writers = [createTensorBoardWriter(dir), createTensorBoardWriter(dir)];
    for (const writer of writers) writer.scalar("train/loss", 1, 1);
    for (const writer of writers) expect(readRecords(readFileSync(writer.path))).toHaveLength(2);
    for (const writer of writers) writer.close();
  });
});

describe("names", () => {
  it.each([
    ["loss", "train/loss"],
    ["grad_norm", "train/grad_norm"],
    ["train_runtime", "train/train_runtime"],
    ["eval_loss", "eval/loss"],
    ["eval_eval_x", "eval/eval_x"],
    ["test_loss", "test/loss"],
    ["evaluation", "train/evaluation"],
  ])("puts %s under the tag %s", (key, tag) => {
    expect(tensorBoardTag(key)).toBe(tag);
  });

  it("puts a run in the folder that transformers would", () => {
    expect(defaultLoggingDir("out", new Date(2026, 10, 3, 7, 4, 11))).toBe(
      join("out", "runs", `Nov03_07-04-11_${hostname()}`),
    );
  });
});
