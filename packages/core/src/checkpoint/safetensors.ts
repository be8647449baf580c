/**
 * The safetensors format: 8 bytes header length (little endian), a JSON header, then the tensors' bytes without gaps.
 * Reading checks the header against the file completely, so that a mapped region is always inside the file and means what
 * the header says; writing gives the same bytes as the reference implementation. Little-endian machines only, as Node's are.
 */
import { open, stat, type FileHandle } from "node:fs/promises";
import { InputError, MedgptError, nestsTooDeeply, writeFileAtomic } from "@medgpt/artifacts";
import { BYTES, type DType } from "../numeric/dtype.js";
import { scanJson } from "../json/scan-json.js";
import { describeJson, isJsonObject } from "../json/read-json-object.js";

export interface TensorInfo {
  readonly name: string;
  /** The engine's dtype; undefined for those it has no use for (see `loadableDType`). */
  readonly dtype: DType | undefined;
  /** The dtype as the file spells it. */
  readonly storedDtype: string;
  readonly shape: readonly number[];
  readonly path: string;
  /** Where the data begin, counted from the start of the file. Not necessarily aligned. */
  readonly byteOffset: number;
  /** Number of elements. */
  readonly size: number;
}

export interface SafetensorsFile {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Map<string, TensorInfo>;
}

/** The reference crate's limit. A header takes about 130 bytes a tensor, so real files stay below 1 MB; the limit keeps
 * a damaged length field from making us allocate what it says. */
const MAX_HEADER_BYTES = 100_000_000;

/** Every dtype of the format and its size in bits. */
// prettier-ignore
const STORED_BITS: Readonly<Record<string, number>> = {
  F4: 4, F6_E2M3: 6, F6_E3M2: 6,
  BOOL: 8, U8: 8, I8: 8, F8_E5M2: 8, F8_E4M3: 8, F8_E8M0: 8, F8_E5M2FNUZ: 8, F8_E4M3FNUZ: 8,
  I16: 16, U16: 16, F16: 16, BF16: 16,
  I32: 32, U32: 32, F32: 32,
  C64: 64, F64: 64, I64: 64, U64: 64,
};

const ENGINE_DTYPES: ReadonlyMap<string, DType> = new Map([
  ["F32", "f32"],
  ["BF16", "bf16"],
  ["F16", "f16"],
  ["I32", "i32"],
  ["U8", "u8"],
]);

/** Order of tensors in a file: the reference sorts by dtype, this way round, then by name. */
const WRITE_ORDER: readonly DType[] = ["f32", "i32", "bf16", "f16", "u8"];

/**
 * Reads and checks a file's header; no tensor data is read.
 * @throws InputError that names the file, and the tensor where it is about one.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const refuse = (problem: string): never => {
    throw new InputError(`not a usable safetensors file: ${problem}; write it again or fetch it anew`, { place: path });
  };

  const file = await openForReading(path);
  let headerBytes: Buffer;
  let dataBytes: number;
  try {
    const fileBytes = (await file.stat()).size;
    if (fileBytes < 8) refuse(`it has ${fileBytes} bytes, too few for the header's length`);
    const length = (await readFully(file, path, 0, 8)).readBigUInt64LE();
    if (length > MAX_HEADER_BYTES) refuse(`its header claims ${length} bytes, the limit is ${MAX_HEADER_BYTES}`);
    dataBytes = fileBytes - 8 - Number(length);
    if (dataBytes < 0) refuse(`its header claims ${length} bytes but the file has only ${fileBytes}`);
    headerBytes = await readFully(file, path, 8, Number(length));
  } finally {
    await file.close();
  }

  if (headerBytes[0] !== 0x7b) refuse('its header does not begin with "{"');
  let header: unknown;
  let text = "";
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(headerBytes);
    header = nestsTooDeeply(text) ? undefined : JSON.parse(text);
  } catch {
    refuse("its header is not JSON in UTF-8");
  }
  if (header === undefined) refuse("its header is nested too deeply");
  const { duplicateKey } = scanJson(text);
  if (duplicateKey !== undefined) refuse(`its header has the key ${describeJson(duplicateKey)} twice`);

  const { __metadata__: metadata = {}, ...entries } = header as Record<string, unknown>;
  if (!isJsonObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string")) {
    refuse(`__metadata__ should map strings to strings, got ${describeJson(metadata)}`);
  }

  const tensors = new Map<string, TensorInfo>();
  const spans: { name: string; begin: number; end: number }[] = [];
  for (const [name, entry] of Object.entries(entries)) {
    const bad = (problem: string): never => refuse(`tensor ${describeJson(name)} ${problem}`);
    if (!isJsonObject(entry)) return bad(`should be an object, got ${describeJson(entry)}`);
    const { dtype, shape, data_offsets: offsets } = entry;
    const bits = typeof dtype === "string" && Object.hasOwn(STORED_BITS, dtype) ? STORED_BITS[dtype] : undefined;
    if (bits === undefined) return bad(`has the unknown dtype ${describeJson(dtype)}`);
    if (!isCountArray(shape)) return bad(`should have a shape of non-negative integers, got ${describeJson(shape)}`);
    if (!isCountArray(offsets) || offsets.length !== 2) {
      return bad(`should have data_offsets [begin, end], got ${describeJson(offsets)}`);
    }
    const [begin, end] = offsets as [number, number];
    if (begin > end) bad(`begins at ${begin}, after its end ${end}`);
    if (end > dataBytes) bad(`ends at byte ${end} of the data, of which the file has ${dataBytes}`);
    const size = shape.reduce((product, n) => product * n, 1);
    // A product beyond 2^53 is inexact, but then it is far beyond any file, so the comparison still refuses it.
    if (size * bits !== (end - begin) * 8) {
      bad(`of dtype ${dtype as string} and shape [${shape.join(", ")}] does not fit its ${end - begin} bytes`);
    }
    spans.push({ name, begin, end });
    tensors.set(name, {
      name,
      dtype: ENGINE_DTYPES.get(dtype as string),
      storedDtype: dtype as string,
      shape,
      path,
      byteOffset: 8 + headerBytes.length + begin,
      size,
    });
  }

  spans.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  for (const { name, begin, end } of spans) {
    if (begin < covered) refuse(`tensor ${describeJson(name)} overlaps another at byte ${begin} of the data`);
    if (begin > covered)
      refuse(`bytes ${covered} to ${begin} of the data, before tensor ${describeJson(name)}, belong to no tensor`);
    covered = end;
  }
  if (covered < dataBytes) refuse(`the last ${dataBytes - covered} bytes belong to no tensor`);
  return { metadata: metadata as Record<string, string>, tensors };
}

/** The engine's dtype of a tensor that is about to be loaded. @throws InputError for dtypes the engine does not take. */
export function loadableDType(info: TensorInfo): DType {
  if (info.dtype === undefined) {
    throw new InputError(
      `tensor ${describeJson(info.name)} is stored as ${info.storedDtype}, expected ${[...ENGINE_DTYPES.keys()].join(", ")}; convert it with transformers or safetensors`,
      { place: info.path },
    );
  }
  return info.dtype;
}

/** The same for a weight, which must be a float. @throws InputError for any other dtype */
export function weightDType(info: TensorInfo): DType {
  const dtype = loadableDType(info);
  if (dtype === "i32" || dtype === "u8") {
    throw new InputError(
      `tensor ${describeJson(info.name)} is stored as ${info.storedDtype}, expected F32, BF16, F16; quantised weights are not read`,
      { place: info.path },
    );
  }
  return dtype;
}

/** A whole tensor in memory: floats of any width as f32, integers as i32. For tests and small tensors; weights are mapped. */
export async function readTensorData(info: TensorInfo): Promise<Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>> {
  const dtype = loadableDType(info);
  const file = await openForReading(info.path);
  let bytes: Buffer<ArrayBuffer>;
  try {
    bytes = await readFully(file, info.path, info.byteOffset, info.size * BYTES[dtype]);
  } finally {
    await file.close();
  }
  switch (dtype) {
    case "f32":
      return new Float32Array(bytes.buffer);
    case "i32":
      return new Int32Array(bytes.buffer);
    case "u8":
      return Int32Array.from(bytes);
    case "bf16":
      // The upper half of an f32.
      return new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (half) => half << 16).buffer);
    case "f16":
      return Float32Array.from(new Uint16Array(bytes.buffer), halfToFloat);
  }
}

function halfToFloat(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

export interface TensorToWrite {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * The raw little-endian bytes, or a function that is called when their turn comes, so that not all need be in memory;
   * it may give them in blocks.
   */
  readonly data: Uint8Array | (() => Promise<Uint8Array> | AsyncIterable<Uint8Array>);
}

/**
 * Writes a safetensors file through a partial file and a rename. The same tensors give the same bytes whatever their
 * order, and the bytes that Python's safetensors writes.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorToWrite>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): Promise<void> {
  const sorted = [...tensors].sort(
    (a, b) =>
      WRITE_ORDER.indexOf(a.dtype) - WRITE_ORDER.indexOf(b.dtype) ||
      Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)),
  );
  const storedName = new Map([...ENGINE_DTYPES].map(([stored, dtype]) => [dtype, stored]));
  // A Map, not an object: names such as "0" would be moved to the front of an object's keys.
  const header = new Map<string, unknown>();
  if (Object.keys(metadata).length > 0) header.set("__metadata__", metadata);
  let end = 0;
  for (const { name, dtype, shape } of sorted) {
    if (header.has(name)) throw new MedgptError(`writeSafetensors: two tensors are called ${describeJson(name)}`);
    const begin = end;
    end += byteLength(dtype, shape);
    header.set(name, { dtype: storedName.get(dtype), shape, data_offsets: [begin, end] });
  }
  const json = `{${[...header].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`;
  const padded = Buffer.alloc(Math.ceil(Buffer.byteLength(json) / 8) * 8, " ");
  padded.write(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));

  await writeFileAtomic(
    path,
    (async function* () {
      yield length;
      yield padded;
      for (const { name, dtype, shape, data } of sorted) {
        const given = typeof data === "function" ? data() : data;
        const blocks = Symbol.asyncIterator in given ? given : [await given];
        const expected = byteLength(dtype, shape);
        let written = 0;
        for await (const block of blocks) {
          written += block.byteLength;
          yield block;
        }
        if (written !== expected) {
          throw new MedgptError(
            `writeSafetensors: tensor ${describeJson(name)} (${dtype} [${shape.join(", ")}]) takes ${expected} bytes, got ${written}`,
          );
        }
      }
    })(),
  );
}

/** Bytes of a dense tensor. */
export function byteLength(dtype: DType, shape: readonly number[]): number {
  return shape.reduce((product, n) => product * n, BYTES[dtype]);
}

function isCountArray(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    // Asked first, because opening a pipe waits for who writes to it.
    const info = await stat(path);
    if (!info.isFile()) throw new Error(`it is ${info.isDirectory() ? "a folder" : "a pipe or device"}`);
    return await open(path, "r");
  } catch (cause) {
    throw new InputError(`cannot be opened (${(cause as Error).message})`, { place: path, cause });
  }
}

async function readFully(
  file: FileHandle,
  path: string,
  position: number,
  length: number,
): Promise<Buffer<ArrayBuffer>> {
  // Not from Node's pool: the typed arrays above need the buffer to begin at offset 0.
  const bytes = Buffer.from(new ArrayBuffer(length));
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0)
      throw new InputError(`ended at byte ${position + done} while it was being read`, { place: path });
    done += bytesRead;
  }
  return bytes;
}
