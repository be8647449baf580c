import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

/** Zhang and Sennrich, https://arxiv.org/abs/1910.07467 */
export function rmsNorm(memory: JsMemory, args: KernelArgs<"rmsNorm">): void {
  const { rows, cols, eps, offset } = args;
  const out = memory.output(args.out, rows * cols);
  const rstd = memory.output(args.rstd, rows);
  const x = memory.floats(args.x, rows * cols);
  const weight = memory.floats(args.weight, cols);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    let squares = 0;
    for (let c = 0; c < cols; c++) squares += x[start + c]! ** 2;
    const scale = 1 / Math.sqrt(squares / cols + eps);
    rstd[r] = scale;
    for (let c = 0; c < cols; c++) out[start + c] = x[start + c]! * scale * (weight[c]! + offset);
  }
}

/** With n = x * rstd and g = dOut * (weight + offset): dx = rstd * (g - n * mean(g * n)), dWeight = sum over rows of dOut * n. */
export function rmsNormBackward(memory: JsMemory, args: KernelArgs<"rmsNormBackward">): void {
  const { rows, cols, offset } = args;
  const dx = args.dx && memory.output(args.dx, rows * cols);
  const base = args.base && memory.floats(args.base, rows * cols);
  const dWeight = args.dWeight && memory.output(args.dWeight, cols);
  const dOut = memory.floats(args.dOut, rows * cols);
  const x = memory.floats(args.x, rows * cols);
  const weight = memory.floats(args.weight, cols);
  const rstd = memory.floats(args.rstd, rows);
  const weightSums = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    const start = r * cols;
    const scale = rstd[r]!;
    let projection = 0;
    for (let c = 0; c < cols; c++) {
      const normal = x[start + c]! * scale;
      weightSums[c]! += dOut[start + c]! * normal;
      projection += dOut[start + c]! * (weight[c]! + offset) * normal;
    }
    if (dx === undefined) continue;
    for (let c = 0; c < cols; c++) {
      const g = dOut[start + c]! * (weight[c]! + offset);
      dx[start + c] = (base?.[start + c] ?? 0) + scale * (g - (x[start + c]! * scale * projection) / cols);
    }
  }
  if (dWeight !== undefined) for (let c = 0; c < cols; c++) dWeight[c]! += weightSums[c]!;
}
