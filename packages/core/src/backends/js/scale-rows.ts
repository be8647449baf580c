import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function scaleRows(memory: JsMemory, { out, x, scale, rows, cols }: KernelArgs<"scaleRows">): void {
  const input = memory.floats(x, rows * cols);
  const factors = memory.floats(scale, rows);
  const result = memory.output(out, rows * cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) result[r * cols + c] = input[r * cols + c]! * factors[r]!;
  }
}
