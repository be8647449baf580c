/** The proof that a merged model computes what base + adapter do. */
import { InputError } from "@medgpt/artifacts";
import type { WeightDType } from "./merged-weights.js";

export const TORCH_DTYPES = { f32: "float32", bf16: "bfloat16", f16: "float16" } as const;

/**
 * Relative error of the outputs (root mean square) that rounding the weights to a dtype may cause: 16 roundings of the
 * dtype's unit, which real models stay several times below, and for f32 what sums in another order do.
 */
const EXPLAINED: Readonly<Record<WeightDType, number>> = { f32: 1e-4, f16: 16 * 2 ** -11, bf16: 16 * 2 ** -8 };

/**
 * Compares the outputs of base + adapter with those of the merged model.
 * @param dtype the coarsest that a changed weight was rounded to
 * @returns a sentence that says that all is well, and how far the outputs are apart
 * @throws InputError when the outputs differ by more than rounding explains, or are not finite
 */
export function compareOutputs(
  expected: Float32Array,
  merged: Float32Array,
  dtype: WeightDType,
  outputDir: string,
): string {
  let [squares, size] = [0, 0];
  expected.forEach((value, index) => {
    squares += (value - (merged[index] ?? NaN)) ** 2;
    size += value ** 2;
  });
  const apart = squares === 0 ? 0 : Math.sqrt(squares / size);
  const cause = dtype === "f32" ? "adding up in another order" : `rounding the weights to ${TORCH_DTYPES[dtype]}`;
  const found = `on a sample text the outputs of the two differ by ${percent(apart)} on average, and ${cause} explains up to ${percent(EXPLAINED[dtype])}`;
  if (!(apart <= EXPLAINED[dtype]))
    throw new InputError(
      `the merged model does not compute what base + adapter do: ${found}; nothing was written${dtype === "f32" ? "" : "; --torch_dtype float32 rounds less"}`,
      { place: outputDir },
    );
  return `the merged model is right, it computes what base + adapter do: ${found}`;
}

/** A share in percent, as "0.43 %". */
function percent(share: number): string {
  if (share > 0 && share < 1e-5) return "less than 0.001 %";
  return `${Number((100 * share).toPrecision(2))} %`;
}
