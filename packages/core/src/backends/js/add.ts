import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function add(memory: JsMemory, { out, a, b, count, alpha, beta }: KernelArgs<"add">): void {
  const left = memory.floats(a, count);
  const right = memory.floats(b, count);
  const result = memory.output(out, count);
  for (let i = 0; i < count; i++) result[i] = alpha * left[i]! + beta * right[i]!;
}
