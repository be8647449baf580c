import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function softCap(memory: JsMemory, { out, x, count, cap }: KernelArgs<"softCap">): void {
  const input = memory.floats(x, count);
  const result = memory.output(out, count);
  for (let i = 0; i < count; i++) result[i] = cap * Math.tanh(input[i]! / cap);
}
