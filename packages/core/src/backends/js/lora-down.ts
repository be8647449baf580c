import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";
import { philox } from "./philox.js";

type Draw = Pick<KernelArgs<"loraDown">, "cols" | "p" | "seed" | "step" | "microStep" | "site">;

/** Factors of one row: 0 where dropped, 1 / (1 - p) where kept. */
function maskOf(row: number, { cols, p, seed, step, microStep, site }: Draw, factors: Float64Array): void {
  const threshold = p * 2 ** 32;
  const words = new Uint32Array(4);
  for (let c = 0; c < cols; c++) {
    if (c % 4 === 0) philox([c / 4, row, site + 65_536 * microStep, step], [seed, Math.floor(seed / 2 ** 32)], words);
    factors[c] = words[c % 4]! >= threshold ? 1 / (1 - p) : 0;
  }
}

export function loraDown(memory: JsMemory, args: KernelArgs<"loraDown">): void {
  const { rows, cols, rank, scale } = args;
  const out = memory.output(args.out, rows * rank);
  const x = memory.floats(args.x, rows * cols);
  const a = memory.floats(args.a, rank * cols);
  const factors = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    maskOf(r, args, factors);
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) sum += factors[c]! * x[r * cols + c]! * a[k * cols + c]!;
      out[r * rank + k] = scale * sum;
    }
  }
}

export function loraDownBackward(memory: JsMemory, args: KernelArgs<"loraDownBackward">): void {
  const { rows, cols, rank } = args;
  const dA = args.dA && memory.output(args.dA, rank * cols);
  const dx = args.dx && memory.output(args.dx, rows * cols);
  const du = memory.floats(args.du, rows * rank);
  const x = memory.floats(args.x, rows * cols);
  const a = memory.floats(args.a, rank * cols);
  const factors = new Float64Array(cols);
  const gradient = new Float64Array(rank * cols);
  for (let r = 0; r < rows; r++) {
    maskOf(r, args, factors);
    for (let c = 0; c < cols; c++) {
      let through = 0;
      for (let k = 0; k < rank; k++) {
        gradient[k * cols + c]! += du[r * rank + k]! * factors[c]! * x[r * cols + c]!;
        through += du[r * rank + k]! * a[k * cols + c]!;
      }
      if (dx !== undefined) dx[r * cols + c]! += factors[c]! * through;
    }
  }
  if (dA !== undefined) gradient.forEach((value, i) => (dA[i]! += value));
}
