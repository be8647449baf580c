import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

/** Su et al., https://arxiv.org/abs/2104.09864, with the halves rotated against each other as transformers does. */
export function rope(memory: JsMemory, args: KernelArgs<"rope">): void {
  const { rows, heads, dim, half, inverse } = args;
  if (2 * half > dim) throw new Error(`half ${half} rotates ${2 * half} elements of a head of ${dim}`);
  const out = memory.output(args.out, rows * heads * dim);
  const x = memory.floats(args.x, rows * heads * dim);
  const table = memory.floats(args.table, rows * 2 * half);
  const sign = inverse ? -1 : 1;
  for (let r = 0; r < rows; r++) {
    for (let h = 0; h < heads; h++) {
      const start = (r * heads + h) * dim;
      for (let j = 0; j < half; j++) {
        const cos = table[r * 2 * half + j]!;
        const sin = table[r * 2 * half + half + j]! * sign;
        const first = x[start + j]!;
        const second = x[start + half + j]!;
        out[start + j] = first * cos - second * sin;
        out[start + half + j] = second * cos + first * sin;
      }
      for (let j = 2 * half; j < dim; j++) out[start + j] = x[start + j]!;
    }
  }
}
