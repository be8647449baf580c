import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function fill(memory: JsMemory, { out, count, value }: KernelArgs<"fill">): void {
  memory.writable(out, count).fill(value);
}
