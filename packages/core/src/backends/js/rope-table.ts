import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function ropeTable(memory: JsMemory, args: KernelArgs<"ropeTable">): void {
  const { rows, half, factor } = args;
  const out = memory.output(args.out, rows * 2 * half);
  const positions = memory.ints(args.positions, rows);
  const invFreq = memory.floats(args.invFreq, half);
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < half; j++) {
      const angle = Math.fround(Math.fround(positions[r]!) * invFreq[j]!);
      out[r * 2 * half + j] = Math.cos(angle) * factor;
      out[r * 2 * half + half + j] = Math.sin(angle) * factor;
    }
  }
}
