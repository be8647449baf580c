import { z } from "zod";
import type { DType } from "../numeric/dtype.js";

/** "fp32": products of float32 factors. "bf16": products of bfloat16 factors, summed in float32. */
export type Precision = "fp32" | "bf16";

/** A dtype as transformers names it, or auto. */
export const torchDtype = z.enum(["auto", "bfloat16", "float16", "float32"]);

/** The three flags that choose a precision. */
export interface PrecisionFlags {
  readonly fp16: boolean;
  readonly bf16: boolean;
  readonly torch_dtype: z.output<typeof torchDtype> | null;
}

/**
 * The precision a run computes in, and the line that tells the user where that is not what the flags ask for. Half
 * precision of any kind is bfloat16 where the backend computes in it, else float32: no CPU has fast float16 products,
 * and bfloat16 needs no loss scaling. Without a flag that asks for half precision a run is in float32.
 *
 * @param dtypes those the backend computes on
 */
export function resolvePrecision(
  flags: PrecisionFlags,
  dtypes: readonly DType[],
): { precision: Precision; line: string | undefined } {
  const asked = flags.fp16
    ? { flag: "--fp16", dtype: "float16" }
    : flags.bf16
      ? { flag: "--bf16", dtype: "bfloat16" }
      : flags.torch_dtype === "float16" || flags.torch_dtype === "bfloat16"
        ? { flag: `--torch_dtype ${flags.torch_dtype}`, dtype: flags.torch_dtype }
        : undefined;
  if (asked === undefined) return { precision: "fp32", line: undefined };
  if (!dtypes.includes("bf16")) {
    const line = `${asked.flag}: computing in float32, because this backend has no half precision`;
    return { precision: "fp32", line };
  }
  const line =
    asked.dtype === "bfloat16"
      ? undefined
      : `${asked.flag}: computing in bfloat16 with float32 sums, because a CPU has no fast float16`;
  return { precision: "bf16", line };
}
