import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function argMax(memory: JsMemory, { out, x, rows, cols }: KernelArgs<"argMax">): void {
  if (cols === 0) throw new Error("cols must be at least 1, is 0");
  const indices = memory.writable(out, rows) as Int32Array;
  const input = memory.floats(x, rows * cols);
  for (let r = 0; r < rows; r++) {
    let best = 0;
    for (let c = 1; c < cols; c++) if (input[r * cols + c]! > input[r * cols + best]!) best = c;
    indices[r] = best;
  }
}
