import { describe, expect, it } from "vitest";

import type { DType } from "../numeric/dtype.js";
import { resolvePrecision, type PrecisionFlags } from "./precision.js";

const WITH_BF16: DType[] = ["f32", "bf16", "i32"];
const WITHOUT: DType[] = ["f32", "i32"];
const flags = (changes: Partial<PrecisionFlags>): PrecisionFlags => ({
  fp16: false,
  bf16: false,
  torch_dtype: null,
  ...changes,
});

describe("resolvePrecision", () => {
  const cases: [Partial<PrecisionFlags>, DType[], "fp32" | "bf16", string | undefined][] = [
    [{}, WITH_BF16, "fp32", undefined],
    [{ torch_dtype: "auto" }, WITH_BF16, "fp32", undefined],
    [{ torch_dtype: "float32" }, WITH_BF16, "fp32", undefined],
    [{ bf16: true }, WITH_BF16, "bf16", undefined],
    [{ torch_dtype: "bfloat16" }, WITH_BF16, "bf16", undefined],
    [{ torch_dtype: "float32", bf16: true }, WITH_BF16, "bf16", undefined],
    [{ fp16: true }, WITH_BF16, "bf16", "--fp16: computing in bfloat16"],
    [{ fp16: true, torch_dtype: "float16" }, WITH_BF16, "bf16", "--fp16: computing in bfloat16"],
    [{ torch_dtype: "float16" }, WITH_BF16, "bf16", "--torch_dtype float16: computing in bfloat16"],
    [{ fp16: true }, WITHOUT, "fp32", "--fp16: computing in float32"],
    [{ bf16: true }, WITHOUT, "fp32", "--bf16: computing in float32"],
    [{ torch_dtype: "bfloat16" }, WITHOUT, "fp32", "--torch_dtype bfloat16: computing in float32"],
  ];
  it.each(cases)("of %j on %j is %s", (changes, dtypes, precision, line) => {
    const resolved = resolvePrecision(flags(changes), dtypes);
    expect(resolved.precision).toBe(precision);
    if (line === undefined) expect(resolved.line).toBeUndefined();
    else expect(resolved.line).toContain(line);
  });
});
