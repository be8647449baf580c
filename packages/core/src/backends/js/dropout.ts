import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";
import { philox } from "./philox.js";

export function dropout(memory: JsMemory, args: KernelArgs<"dropout">): void {
  const { rows, cols, p, seed, step, microStep, site } = args;
  const out = memory.output(args.out, rows * cols);
  const x = memory.floats(args.x, rows * cols);
  const threshold = p * 2 ** 32;
  const words = new Uint32Array(4);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      if (c % 4 === 0) philox([c / 4, r, site + 65_536 * microStep, step], [seed, Math.floor(seed / 2 ** 32)], words);
      out[r * cols + c] = x[r * cols + c]! * (words[c % 4]! >= threshold ? 1 / (1 - p) : 0);
    }
  }
}
