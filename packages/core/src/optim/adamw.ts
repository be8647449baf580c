/** Decoupled AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) with PyTorch's arithmetic, on a flat arena. */
import type { ParameterArena } from "../nn/parameters.js";
import { zeros, type Tensor } from "../tensor/tensor.js";

export interface AdamWOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
}

export interface AdamW {
  /** First and second moments, laid out as the arena. */
  readonly expAvg: Tensor;
  readonly expAvgSq: Tensor;
  /** Steps taken so far; set it when resuming. */
  steps: number;
  /**
   * Updates the parameters and clears the gradients.
   * @param gradScale (1) f32 that multiplies the gradients, as clipping wants
   */
  step(learningRate: number, gradScale?: Tensor): void;
  dispose(): void;
}

/** Call it outside of any scope. */
export function createAdamW(arena: ParameterArena, { beta1, beta2, eps, weightDecay }: AdamWOptions): AdamW {
  const { backend, shape, size } = arena.values;
  const [expAvg, expAvgSq] = [zeros(backend, shape, "f32"), zeros(backend, shape, "f32")];
  return {
    expAvg,
    expAvgSq,
    steps: 0,
    step(lr, gradScale) {
      const step = ++this.steps;
      const ranges = [
        { offset: 0, count: arena.decayed, weightDecay },
        { offset: arena.decayed, count: size - arena.decayed, weightDecay: 0 },
      ];
      for (const { offset, count, weightDecay } of ranges.filter(({ count }) => count > 0)) {
        const [params, grads, m, v] = [arena.values, arena.gradients, expAvg, expAvgSq].map((tensor) =>
          tensor.view([count], offset),
        ) as [Tensor, Tensor, Tensor, Tensor];
        backend.kernels.adamW({
          params,
          grads,
          expAvg: m,
          expAvgSq: v,
          gradScale,
          count,
          lr,
          beta1,
          beta2,
          eps,
          weightDecay,
          step,
        });
        for (const view of [params, grads, m, v]) view.dispose();
      }
      backend.kernels.fill({ out: arena.gradients, count: size, value: 0 });
    },
    dispose() {
      expAvg.dispose();
      expAvgSq.dispose();
    },
  };
}
