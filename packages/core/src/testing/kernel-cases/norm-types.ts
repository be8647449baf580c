import type { DType } from "../../numeric/dtype.js";

/** dtypes of a norm's input, weight and output. */
export const NORM_TYPES: readonly [x: DType, weight: DType, out: DType][] = [
  ["f32", "f32", "f32"],
  ["f32", "bf16", "bf16"],
  ["bf16", "bf16", "bf16"],
  ["bf16", "f32", "f32"],
];
