/**
 * TensorBoard event files: scalars and text. A file is a sequence of TFRecords, each an Event protocol buffer, encoded
 * here by hand because the two messages in use have a dozen fields between them.
 */
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { writeError } from "@medgpt/artifacts";

export interface TensorBoardWriter {
  readonly path: string;
  /** @param wallTime seconds since 1970 */
  scalar(tag: string, value: number, step: number, wallTime?: number): void;
  /** Shown by TensorBoard as Markdown. */
  text(tag: string, value: string, step: number, wallTime?: number): void;
  close(): void;
}

/** Distinguishes the files that one process starts within a second. */
let filesStarted = 0;

/**
 * Starts an event file in `dir`, made where it is missing. Every call appends whole records, so the file can be read
 * while the run goes on and after it was killed.
 */
export function createTensorBoardWriter(dir: string): TensorBoardWriter {
  mkdirSync(dir, { recursive: true });
  const seconds = Math.floor(Date.now() / 1000);
  const path = join(dir, `events.out.tfevents.${seconds}.${hostname()}.${process.pid}.${filesStarted++}`);
  const file = openSync(path, "ax");
  const append = (event: Uint8Array): void => {
    try {
      writeSync(file, record(event));
    } catch (error) {
      throw writeError(error, path);
    }
  };
  const now = (): number => Date.now() / 1000;

  append(message([double(1, now()), bytes(3, "brain.Event:2")]));
  const summary = (value: Uint8Array, step: number, wallTime: number): void => {
    append(message([double(1, wallTime), varint(2, step), bytes(5, bytes(1, value))]));
  };
  return {
    path,
    scalar(tag, value, step, wallTime = now()) {
      summary(message([bytes(1, tag), float(2, value)]), step, wallTime);
    },
    text(tag, value, step, wallTime = now()) {
      const metadata = bytes(1, bytes(1, "text"));
      // A TensorProto of shape [1] and dtype DT_STRING (7).
      const tensor = message([varint(1, 7), bytes(2, bytes(2, varint(1, 1))), bytes(8, value)]);
      summary(message([bytes(1, `${tag}/text_summary`), bytes(8, tensor), bytes(9, metadata)]), step, wallTime);
    },
    close() {
      closeSync(file);
    },
  };
}

/** The tag under which the transformers Trainer writes a metric: "eval_loss" becomes "eval/loss", "loss" "train/loss". */
export function tensorBoardTag(key: string): string {
  for (const phase of ["eval", "test"]) {
    if (key.startsWith(`${phase}_`)) return `${phase}/${key.slice(phase.length + 1)}`;
  }
  return `train/${key}`;
}

/** The folder under output_dir that the transformers Trainer gives a run: runs/Nov23_20-44-11_host. */
export function defaultLoggingDir(outputDir: string, start: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const month = start.toLocaleString("en-US", { month: "short" });
  const time = [start.getHours(), start.getMinutes(), start.getSeconds()].map(two).join("-");
  return join(outputDir, "runs", `${month}${two(start.getDate())}_${time}_${hostname()}`);
}

/** TFRecord framing: length (u64), its masked CRC, the data, its masked CRC, all little-endian. */
function record(data: Uint8Array): Buffer {
  const out = Buffer.alloc(data.length + 16);
  out.writeBigUInt64LE(BigInt(data.length), 0);
  out.writeUInt32LE(maskedCrc32c(out.subarray(0, 8)), 8);
  out.set(data, 12);
  out.writeUInt32LE(maskedCrc32c(data), 12 + data.length);
  return out;
}

/** Castagnoli's polynomial, bit-reversed. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** TFRecord masks its checksums, since the CRC of data that contains CRCs is weak. */
function maskedCrc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]!;
  crc = (crc ^ 0xffffffff) >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

// Protocol buffer fields: the key (field number and wire type), then the value.

function message(fields: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(fields);
}

function varint(field: number, value: number): Uint8Array {
  return Buffer.from([field << 3, ...base128(value)]);
}

function double(field: number, value: number): Uint8Array {
  const out = Buffer.alloc(9);
  out[0] = (field << 3) | 1;
  out.writeDoubleLE(value, 1);
  return out;
}

function float(field: number, value: number): Uint8Array {
  const out = Buffer.alloc(5);
  out[0] = (field << 3) | 5;
  out.writeFloatLE(value, 1);
  return out;
}

function bytes(field: number, value: string | Uint8Array): Uint8Array {
  const data = typeof value === "string" ? Buffer.from(value, "utf8") : value;
  return Buffer.concat([Buffer.from([(field << 3) | 2, ...base128(data.length)]), data]);
}

/** A non-negative integer, seven bits a byte, the lowest first. Divisions, because steps may pass 2^31. */
function base128(value: number): number[] {
  const out: number[] = [];
  while (value >= 128) {
    out.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
  return out;
}
