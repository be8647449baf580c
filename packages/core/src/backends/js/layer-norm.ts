import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

/** Ba, Kiros and Hinton, https://arxiv.org/abs/1607.06450 */
export function layerNorm(memory: JsMemory, args: KernelArgs<"layerNorm">): void {
  const { rows, cols, eps } = args;
  const out = memory.output(args.out, rows * cols);
  const means = memory.output(args.mean, rows);
  const rstds = memory.output(args.rstd, rows);
  const x = memory.floats(args.x, rows * cols);
  const weight = memory.floats(args.weight, cols);
  const bias = args.bias && memory.floats(args.bias, cols);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    let total = 0;
    for (let c = 0; c < cols; c++) total += x[start + c]!;
    const mean = total / cols;
    let squares = 0;
    for (let c = 0; c < cols; c++) squares += (x[start + c]! - mean) ** 2;
    const rstd = 1 / Math.sqrt(squares / cols + eps);
    means[r] = mean;
    rstds[r] = rstd;
    for (let c = 0; c < cols; c++) {
      out[start + c] = (x[start + c]! - mean) * rstd * weight[c]! + (bias === undefined ? 0 : bias[c]!);
    }
  }
}

/** With n = (x - mean) * rstd and g = dOut * weight: dx = rstd * (g - mean(g) - n * mean(g * n)). */
export function layerNormBackward(memory: JsMemory, args: KernelArgs<"layerNormBackward">): void {
  const { rows, cols } = args;
  const dx = args.dx && memory.output(args.dx, rows * cols);
  const base = args.base && memory.floats(args.base, rows * cols);
  const dWeight = args.dWeight && memory.output(args.dWeight, cols);
  const dBias = args.dBias && memory.output(args.dBias, cols);
  const dOut = memory.floats(args.dOut, rows * cols);
  const x = memory.floats(args.x, rows * cols);
  const weight = memory.floats(args.weight, cols);
  const means = memory.floats(args.mean, rows);
  const rstds = memory.floats(args.rstd, rows);
  const weightSums = new Float64Array(cols);
  const biasSums = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    const mean = means[r]!;
    const rstd = rstds[r]!;
    let gradSum = 0;
    let projection = 0;
    for (let c = 0; c < cols; c++) {
      const normal = (x[start + c]! - mean) * rstd;
      const g = dOut[start + c]! * weight[c]!;
      gradSum += g;
      projection += g * normal;
      weightSums[c]! += dOut[start + c]! * normal;
      biasSums[c]! += dOut[start + c]!;
    }
    if (dx === undefined) continue;
    for (let c = 0; c < cols; c++) {
      const normal = (x[start + c]! - mean) * rstd;
      dx[start + c] =
        (base?.[start + c] ?? 0) + rstd * (dOut[start + c]! * weight[c]! - (gradSum + normal * projection) / cols);
    }
  }
  if (dWeight !== undefined) for (let c = 0; c < cols; c++) dWeight[c]! += weightSums[c]!;
  if (dBias !== undefined) for (let c = 0; c < cols; c++) dBias[c]! += biasSums[c]!;
}
