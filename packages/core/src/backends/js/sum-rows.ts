import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function sumRows(memory: JsMemory, { out, x, rows, cols }: KernelArgs<"sumRows">): void {
  const input = memory.floats(x, rows * cols);
  const result = memory.output(out, cols);
  const sums = new Float64Array(cols);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) sums[c]! += input[r * cols + c]!;
  }
  for (let c = 0; c < cols; c++) result[c]! += sums[c]!;
}
