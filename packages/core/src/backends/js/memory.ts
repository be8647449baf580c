/**
 * Where the js backend keeps its buffers, and the only way its kernels reach them: a view is checked against its buffer's
 * dtype and length here, and kernels get a subarray that starts at the view's offset, so a buffer overrun is an error.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { BYTES, type DType } from "../../numeric/dtype.js";
import type { View } from "../kernels.js";
import { bf16ToF32, f16ToF32 } from "../../numeric/half.js";

export type Floats = Float32Array | Float64Array;
type Stored = Floats | Int32Array | Uint8Array;

interface OwnedBuffer {
  readonly dtype: DType;
  readonly array: Stored;
}

interface MappedBuffer {
  readonly dtype: DType;
  readonly size: number;
  readonly path: string;
  readonly byteOffset: number;
  /** Inode, size and time of the file when it was mapped. It is read later, at first use, and must be the same then. */
  readonly identity: string;
  /** The contents, floats converted to f32, read at first use. */
  array: Stored | undefined;
}

type Buffer = OwnedBuffer | MappedBuffer;

export class JsMemory {
  readonly #float64: boolean;
  readonly #buffers = new Map<number, Buffer>();

  /** @param float64 keep "f32" buffers in double precision */
  constructor(float64: boolean) {
    this.#float64 = float64;
  }

  /** Fresh floats are NaN, so that reading what was never written shows. */
  allocate(id: number, dtype: DType, size: number): void {
    // Registered before the allocation that may fail, so that freeing the buffer later is no second failure.
    this.#buffers.set(id, { dtype, array: newArray(dtype, 0, this.#float64) });
    const array = newArray(dtype, size, this.#float64);
    if (dtype === "f32") array.fill(NaN);
    this.#buffers.set(id, { dtype, array });
  }

  map(id: number, path: string, byteOffset: number, dtype: DType, size: number): void {
    this.#buffers.set(id, { dtype, array: newArray("u8", 0, false) });
    const end = byteOffset + size * BYTES[dtype];
    const fileSize = statSync(path).size;
    if (end > fileSize)
      throw new Error(`${path} has ${fileSize} bytes; mapping ${size} ${dtype} at ${byteOffset} needs ${end}`);
    this.#buffers.set(id, { dtype, size, path, byteOffset, identity: fileIdentity(path), array: undefined });
  }

  free(id: number): void {
    this.#get(id);
    this.#buffers.delete(id);
  }

  clear(): void {
    this.#buffers.clear();
  }

  /** `count` floats to be read; f16 and bf16 ones of a mapped file arrive converted. */
  floats(view: View, count: number): Floats {
    return expectFloats(this.#slice(view, count), view);
  }

  /** `count` floats to be written. */
  output(view: View, count: number): Floats {
    return expectFloats(this.writable(view, count), view);
  }

  ints(view: View, count: number): Int32Array {
    const array = this.#slice(view, count);
    if (!(array instanceof Int32Array)) throw new Error(`buffer ${view.buffer} is ${view.dtype}; i32 is needed`);
    return array;
  }

  /** `count` elements of any dtype to be written. */
  writable(view: View, count: number): Stored {
    if ("path" in this.#get(view.buffer))
      throw new Error(`buffer ${view.buffer} is a mapped file and cannot be written`);
    return this.#slice(view, count);
  }

  /** A copy of `count` elements of any dtype. */
  copy(view: View, count: number): Stored {
    return this.#slice(view, count).slice();
  }

  /** The region as a file would hold it: f32 in four bytes even where it is kept in double precision. */
  bytes(view: View, count: number): Uint8Array {
    const array = this.#slice(view, count);
    const buffer = this.#get(view.buffer);
    if ("path" in buffer) {
      return readRegion(buffer.path, buffer.byteOffset + view.offset * BYTES[view.dtype], count * BYTES[view.dtype]);
    }
    const stored = array instanceof Float64Array ? Float32Array.from(array) : array;
    return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength).slice();
  }

  #get(id: number): Buffer {
    const buffer = this.#buffers.get(id);
    if (buffer === undefined) throw new Error(`there is no buffer ${id}: it was freed or never allocated`);
    return buffer;
  }

  #slice(view: View, count: number): Stored {
    const buffer = this.#get(view.buffer);
    if (buffer.dtype !== view.dtype) {
      throw new Error(`buffer ${view.buffer} holds ${buffer.dtype}, but the view on it says ${view.dtype}`);
    }
    const array = "path" in buffer ? (buffer.array ??= readMapped(buffer, this.#float64)) : buffer.array;
    const { offset } = view;
    if (!(
      Number.isInteger(offset) &&
      Number.isInteger(count) &&
      offset >= 0 &&
      count >= 0 &&
      offset + count <= array.length
    )) {
      throw new Error(`buffer ${view.buffer} has ${array.length} elements; ${count} at offset ${offset} do not fit`);
    }
    return array.subarray(offset, offset + count);
  }
}

/** Elements from the first to the last of a (rows, cols) matrix whose rows are `stride` apart. */
export function extent(rows: number, stride: number, cols: number): number {
  return rows === 0 || cols === 0 ? 0 : (rows - 1) * stride + cols;
}

function newArray(dtype: DType, size: number, float64: boolean): Stored {
  switch (dtype) {
    case "f32":
    case "bf16":
    case "f16":
      return float64 ? new Float64Array(size) : new Float32Array(size);
    case "i32":
      return new Int32Array(size);
    case "u8":
      return new Uint8Array(size);
  }
}

function expectFloats(array: Stored, view: View): Floats {
  if (array instanceof Float32Array || array instanceof Float64Array) return array;
  throw new Error(`buffer ${view.buffer} is ${view.dtype}; floats are needed`);
}

function fileIdentity(path: string): string {
  const { ino, size, mtimeMs } = statSync(path);
  return `${ino}:${size}:${mtimeMs}`;
}

function readMapped(buffer: MappedBuffer, float64: boolean): Stored {
  const { dtype, size, path, byteOffset } = buffer;
  if (fileIdentity(path) !== buffer.identity) {
    throw new Error(`${path} was replaced while it was mapped; load it again`);
  }
  const bytes = readRegion(path, byteOffset, size * BYTES[dtype]);
  const raw = new DataView(bytes.buffer);
  const array = newArray(dtype, size, float64);
  for (let i = 0; i < size; i++) {
    switch (dtype) {
      case "f32":
        array[i] = raw.getFloat32(4 * i, true);
        break;
      case "bf16":
        array[i] = bf16ToF32(raw.getUint16(2 * i, true));
        break;
      case "f16":
        array[i] = f16ToF32(raw.getUint16(2 * i, true));
        break;
      case "i32":
        array[i] = raw.getInt32(4 * i, true);
        break;
      case "u8":
        array[i] = raw.getUint8(i);
        break;
    }
  }
  return array;
}

/** One read returns at most 2 GiB on Linux, hence the loop. */
function readRegion(path: string, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const file = openSync(path, "r");
  try {
    let done = 0;
    while (done < length) {
      const got = readSync(file, bytes, done, Math.min(length - done, 2 ** 30), position + done);
      if (got === 0) throw new Error(`${path} ends at byte ${position + done}; ${position + length} are needed`);
      done += got;
    }
  } finally {
    closeSync(file);
  }
  return bytes;
}
