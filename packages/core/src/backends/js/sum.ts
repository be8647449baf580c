import type { KernelArgs } from "../kernels.js";
import type { Floats, JsMemory } from "./memory.js";

/** Part of the contract: results must not depend on how a backend divides the work. */
const CHUNK = 65_536;

export function sum(memory: JsMemory, { out, x, count, factor }: KernelArgs<"sum">): void {
  const input = memory.floats(x, count);
  memory.output(out, 1)[0] = factor * chunkedSum(input, (value) => value);
}

/** Sum of term(x[i]): partial sums of fixed chunks, added in order. */
export function chunkedSum(x: Floats, term: (value: number) => number): number {
  let total = 0;
  for (let start = 0; start < x.length; start += CHUNK) {
    const end = Math.min(start + CHUNK, x.length);
    let partial = 0;
    for (let i = start; i < end; i++) partial += term(x[i]!);
    total += partial;
  }
  return total;
}
