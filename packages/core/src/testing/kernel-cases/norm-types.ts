import type { KernelArgs } from "../../backends/kernels.js";
import type { DType } from "../../numeric/dtype.js";
import type { ViewOf } from "./case.js";

/** dtypes of a norm's input, weight and output. */
export const NORM_TYPES: readonly [x: DType, weight: DType, out: DType][] = [
  ["f32", "f32", "f32"],
  ["f32", "bf16", "bf16"],
  ["bf16", "bf16", "bf16"],
  ["bf16", "f32", "f32"],
];

/** A layer norm of the buffers of these names. */
export function layerNormArgs(
  view: ViewOf,
  shape: { readonly rows: number; readonly cols: number },
  withBias = false,
): KernelArgs<"layerNorm"> {
  return {
    out: view("out"),
    mean: view("mean"),
    rstd: view("rstd"),
    x: view("x"),
    weight: view("weight"),
    bias: withBias ? view("bias") : undefined,
    ...shape,
    eps: 1e-5,
  };
}
