import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

/** Loshchilov and Hutter, https://arxiv.org/abs/1711.05101, in the order of torch.optim.AdamW. */
export function adamW(memory: JsMemory, args: KernelArgs<"adamW">): void {
  const { count, lr, beta1, beta2, eps, weightDecay, step } = args;
  const params = memory.output(args.params, count);
  const grads = memory.floats(args.grads, count);
  const m = memory.output(args.expAvg, count);
  const v = memory.output(args.expAvgSq, count);
  const gradScale = args.gradScale === undefined ? 1 : memory.floats(args.gradScale, 1)[0]!;
  const stepSize = lr / (1 - beta1 ** step);
  const rootBiasCorrection2 = Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < count; i++) {
    const g = gradScale * grads[i]!;
    m[i]! += (1 - beta1) * (g - m[i]!);
    v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
    const decayed = params[i]! * (1 - lr * weightDecay);
    params[i] = decayed - (stepSize * m[i]!) / (Math.sqrt(v[i]!) / rootBiasCorrection2 + eps);
  }
}
