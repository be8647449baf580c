import { dropThreshold, keptScale, type KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";
import { philox } from "../../numeric/philox.js";

type Draw = Pick<KernelArgs<"loraDown">, "cols" | "p" | "seed" | "step" | "microStep" | "site">;

/** Factors of one row: 0 where dropped, 1 / (1 - p) where kept. */
function maskOf(row: number, { cols, p, seed, step, microStep, site }: Draw, factors: Float64Array): void {
  const [threshold, scale] = [dropThreshold(p), keptScale(p)];
  const words = new Uint32Array(4);
  for (let group = 0; group * 128 < cols; group++) {
    for (let lane = 0; lane < 16; lane++) {
      philox([16 * group + lane, row, site + 65_536 * microStep, step], [seed, Math.floor(seed / 2 ** 32)], words);
      words.forEach((word, i) => {
        const c = 128 * group + 32 * i + 2 * lane; // past the end of the row, where the array ignores it, or in it
        factors[c] = (word & 0xffff) >= threshold ? scale : 0;
        factors[c + 1] = word >>> 16 >= threshold ? scale : 0;
      });
    }
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
  const words = Math.ceil(cols / 32);
  const dA = args.dA && memory.output(args.dA, rank * cols);
  const mask = args.mask && (memory.writable(args.mask, rows * words) as Int32Array);
  const du = memory.floats(args.du, rows * rank);
  const x = memory.floats(args.x, rows * cols);
  const factors = new Float64Array(cols);
  const gradient = new Float64Array(rank * cols);
  for (let r = 0; r < rows; r++) {
    maskOf(r, args, factors);
    mask?.fill(0, r * words, (r + 1) * words);
    for (let c = 0; c < cols; c++) {
      if (mask !== undefined && factors[c]! > 0) mask[r * words + Math.floor(c / 32)]! |= 1 << (c % 32);
      for (let k = 0; k < rank; k++) gradient[k * cols + c]! += du[r * rank + k]! * factors[c]! * x[r * cols + c]!;
    }
  }
  if (dA !== undefined) gradient.forEach((value, i) => (dA[i]! += value));
}

export function loraUpBackward(memory: JsMemory, args: KernelArgs<"loraUpBackward">): void {
  const { rows, cols, rank, scale } = args;
  const du = memory.output(args.du, rows * rank);
  const dB = args.dB && memory.output(args.dB, cols * rank);
  const dy = memory.floats(args.dy, rows * cols);
  const u = memory.floats(args.u, rows * rank);
  const b = memory.floats(args.b, cols * rank);
  const gradient = new Float64Array(cols * rank);
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < rank; k++) {
      let sum = 0;
      for (let c = 0; c < cols; c++) {
        sum += dy[r * cols + c]! * b[c * rank + k]!;
        gradient[c * rank + k]! += dy[r * cols + c]! * u[r * rank + k]!;
      }
      du[r * rank + k] = scale * sum;
    }
  }
  if (dB !== undefined) gradient.forEach((value, i) => (dB[i]! += value));
}
