/** What a case of a kernel is, what the oracle makes of it, and what cases are made of. */
import { jsKernels } from "../../backends/js/js-kernels.js";
import { JsMemory } from "../../backends/js/memory.js";
import type { KernelArgs, KernelName, View } from "../../backends/kernels.js";
import type { DType } from "../../numeric/dtype.js";
import { bf16ToF32, f16ToF32, f32ToBf16 } from "../../numeric/half.js";
import type { Tolerance } from "../all-close.js";

export interface CaseBuffer {
  readonly dtype: DType;
  /** Every element is one that the dtype can hold. */
  readonly data: Float32Array | Int32Array;
  /** Lies in a file, at an odd byte offset. */
  readonly mapped: boolean;
}

type Buffers = Readonly<Record<string, CaseBuffer>>;

/** A view on a buffer of the case, by name. */
export type ViewOf = (name: string, offset?: number) => View;

export interface KernelCase<K extends KernelName = KernelName> {
  readonly name: string;
  readonly buffers: Buffers;
  readonly args: (view: ViewOf) => KernelArgs<K>;
  readonly outputs: Readonly<Record<string, Tolerance>>;
  /** Elements of every output that the contract leaves open. */
  readonly open?: ReadonlySet<number>;
}

/** What the js kernels in double precision make of the named buffers. */
export function expectedOf<K extends KernelName>(
  kernel: K,
  { buffers, args }: Pick<KernelCase<K>, "buffers" | "args">,
  names: readonly string[],
): Record<string, Float64Array> {
  const memory = new JsMemory(true);
  const ids = new Map(Object.keys(buffers).map((name, index) => [name, index + 1]));
  const whole = (name: string): View => {
    const dtype = buffers[name]!.dtype === "i32" ? "i32" : "f32";
    return { buffer: ids.get(name)!, offset: 0, dtype };
  };
  for (const [name, { data }] of Object.entries(buffers)) {
    memory.allocate(ids.get(name)!, whole(name).dtype, data.length);
    memory.writable(whole(name), data.length).set(data);
  }
  jsKernels[kernel](
    memory,
    args((name, offset = 0) => ({ ...whole(name), offset })),
  );
  return Object.fromEntries(
    names.map((name) => [name, Float64Array.from(memory.copy(whole(name), buffers[name]!.data.length))]),
  );
}

/** The nearest value of the dtype. */
export function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "bf16":
      return bf16ToF32(f32ToBf16(value));
    case "f16":
      return f16ToF32(f32ToF16(value));
    case "i32":
    case "u8":
      return value;
  }
}

/** Bits of a number that is made an IEEE half by dropping digits; enough for test data. */
export function f32ToF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | Math.floor(size * 2 ** 24);
  const exponent = Math.min(15, Math.floor(Math.log2(size)));
  return sign | ((exponent + 15) << 10) | Math.min(1023, Math.floor((size / 2 ** exponent - 1) * 1024));
}

/** Bit for bit what the dtype rounds the exact result to. */
export const EXACT: Tolerance = { absolute: 0, relative: 0 };

/** f32 rounding in another order, on numbers of the order of 1; a bf16 output adds half a unit in its last place. */
export function close(dtype: DType, absolute = 1e-5, relative = 1e-5): Tolerance {
  return { absolute, relative: dtype === "bf16" ? relative + 2 ** -8 : relative };
}

export const SIZES = [1, 2, 3, 7, 13, 17, 31, 33, 64, 100];

export const SHAPES: readonly [rows: number, cols: number][] = [
  [0, 7],
  [1, 1],
  [1, 100],
  [2, 3],
  [3, 2],
  [7, 33],
  [13, 1],
  [17, 64],
  [31, 17],
  [33, 31],
  [64, 13],
  [100, 7],
  [5, 600],
];

export function floats(data: ArrayLike<number>, dtype: DType = "f32"): CaseBuffer {
  return { dtype, data: Float32Array.from(data, (value) => roundTo(dtype, value)), mapped: dtype === "f16" };
}

export function mapped(data: ArrayLike<number>, dtype: DType): CaseBuffer {
  return { ...floats(data, dtype), mapped: true };
}

export function ints(data: ArrayLike<number>): CaseBuffer {
  return { dtype: "i32", data: Int32Array.from(data), mapped: false };
}

/** An output that is to be overwritten. */
export function unset(count: number, dtype: DType = "f32"): CaseBuffer {
  return floats(new Float32Array(count).fill(NaN), dtype);
}

export const isZero = (size: number): string => (size === 0 ? "zero" : String(size));
