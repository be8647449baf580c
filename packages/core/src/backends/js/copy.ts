import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function copy(memory: JsMemory, { out, x, count }: KernelArgs<"copy">): void {
  memory.output(out, count).set(memory.floats(x, count));
}
