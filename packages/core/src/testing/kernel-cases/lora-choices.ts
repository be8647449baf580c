/** What the kernels of LoRA and dropout are given. */
import type { DType } from "../../numeric/dtype.js";
import { floats, roundTo, SHAPES, type CaseBuffer } from "./case.js";

const DRAWS = [
  { p: 0.1, seed: 42, step: 1, microStep: 0, site: 0 },
  { p: 0.5, seed: 2 ** 40 + 7, step: 100_000, microStep: 3, site: 77 },
  { p: 0, seed: 0, step: 0, microStep: 0, site: 0 },
  { p: 0.9, seed: 2 ** 32 - 1, step: 2, microStep: 65_535, site: 65_535 },
];

/** Numbers that stay as they are where factors are rounded to bf16. */
export function factors(values: Float32Array, dtype: DType = "f32"): CaseBuffer {
  return floats(
    values.map((value) => roundTo("bf16", value)),
    dtype,
  );
}

/** Every draw with every shape, input dtype and precision of the products, and some of the ranks. */
export function loraChoices() {
  return SHAPES.flatMap(([rows, cols]) =>
    DRAWS.flatMap((draw, i) =>
      (["f32", "bf16"] as const).flatMap((dtype) =>
        [0, 1].map((compute) => ({ rows, cols, draw, dtype, compute, rank: [1, 8, 3, 33][i] ?? 1, index: i })),
      ),
    ),
  );
}
