import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function scale(memory: JsMemory, { out, x, xStride, scalar, count, factor }: KernelArgs<"scale">): void {
  const input = memory.floats(x, xStride === 0 ? Math.min(count, 1) : count);
  const result = memory.output(out, count);
  const total = factor * (scalar === undefined ? 1 : memory.floats(scalar, 1)[0]!);
  for (let i = 0; i < count; i++) result[i] = input[i * xStride]! * total;
}
