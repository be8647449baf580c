import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";
import { chunkedSum } from "./sum.js";

/** torch.nn.utils.clip_grad_norm_: a NaN or infinite norm gives a NaN or zero factor, as there. */
export function clipGradNorm(memory: JsMemory, { out, grads, count, maxNorm }: KernelArgs<"clipGradNorm">): void {
  const norm = Math.sqrt(chunkedSum(memory.floats(grads, count), (g) => g * g));
  const result = memory.output(out, 2);
  result[0] = norm;
  result[1] = maxNorm === 0 ? 1 : Math.min(1, maxNorm / (norm + 1e-6));
}
