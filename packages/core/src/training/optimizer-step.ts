/// <reference lib="esnext.disposable" preserve="true" />
/** One step of the optimizer: forward and backward on micro-batches, average over processes, clip, update. */
import { InputError } from "@medgpt/artifacts";
import type { ParameterArena } from "../nn/parameters.js";
import { sum, type DropoutDraw } from "../ops/index.js";
import type { AdamW } from "../optim/adamw.js";
import { oneProcess, sumOver, type Communicator } from "../run/communicator.js";
import { backward } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, Tensor, tensor } from "../tensor/tensor.js";
import { averageGradients } from "./all-reduce.js";
import type { LossAndGradient, OnHost } from "./on-host.js";

/** Says which random numbers a pass draws, so that a run that is resumed draws the same ones. */
export type Draw = Omit<DropoutDraw, "site" | "p">;

/** What is minimised: the sum of `loss` over the micro-batches of a step, divided by the sum of `weight`. */
export interface Objective<B> {
  /** Losses of a batch, f32 of any shape, 0 where there is nothing to learn; or how they are computed on the host. */
  loss(batch: B, draw: Draw): Tensor | OnHost<LossAndGradient>;
  /** What the losses of a batch are averaged over: labelled tokens, pairs, … */
  weight(batch: B): number;
}

export interface OptimizerStepOptions {
  readonly arena: ParameterArena;
  /** Disposed of with the step. */
  readonly optimizer: AdamW;
  /** 0 for no clipping. */
  readonly maxGradNorm: number;
  readonly seed: number;
  readonly communicator?: Communicator | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface OptimizerStep extends Disposable {
  /**
   * Trains on micro-batches, of which a process may have none.
   * @returns the mean loss, and the norm of the gradients before clipping; the same in every process
   * @throws AbortError when the signal aborts, with the parameters as they were; InputError for a loss that is not finite
   */
  step<B>(
    micro: readonly B[],
    objective: Objective<B>,
    learningRate: number,
  ): Promise<{ readonly loss: number; readonly gradNorm: number }>;
}

/** @returns the loss, before it is multiplied by `factor` as the gradient is */
async function backwardFromHost({ outputs, of }: OnHost<LossAndGradient>, factor: number): Promise<number> {
  try {
    const { loss, gradient } = of((await outputs.read()) as Float32Array);
    const scaled = Float32Array.from(gradient, (value) => factor * value);
    scope(() => backward(outputs, tensor(outputs.backend, scaled, outputs.shape)));
    return loss;
  } finally {
    outputs.dispose();
  }
}

/** Call it outside of any scope. */
export function createOptimizerStep({
  arena: { values, gradients },
  optimizer,
  maxGradNorm,
  seed,
  communicator = oneProcess,
  signal,
}: OptimizerStepOptions): OptimizerStep {
  const { backend } = values;
  const norms = empty(backend, [2], "f32"); // gradient norm, clipping factor
  const clip = norms.view([1], 1);
  // A run before this one may have been interrupted in the middle of a sum.
  backend.kernels.fill({ out: gradients, count: gradients.size, value: 0 });

  /** The gradients, and the loss and the norm once they are known. */
  const accumulate = async <B>(micro: readonly B[], objective: Objective<B>, losses: Tensor[]) => {
    const weight = micro.reduce((total, batch) => total + objective.weight(batch), 0);
    const factor = weight === 0 ? 0 : 1 / weight;
    let own = 0;
    for (const [index, batch] of micro.entries()) {
      // Numbered as if one process had all the micro-batches of the step.
      const microStep = index * communicator.size + communicator.rank;
      const draw = { seed, step: optimizer.steps, microStep };
      const loss = scope(() => {
        const result = objective.loss(batch, draw);
        return result instanceof Tensor ? sum(result, factor) : result;
      });
      if (loss instanceof Tensor) {
        losses.push(loss);
        backward(loss);
      } else own += factor * (await backwardFromHost(loss, factor));
    }
    const share = await averageGradients(communicator, gradients, weight);
    backend.kernels.clipGradNorm({ out: norms, grads: gradients, count: gradients.size, maxNorm: maxGradNorm });
    const [norm, ...parts] = await Promise.all([norms.read(), ...losses.map((loss) => loss.item())]);
    own += parts.reduce((a, b) => a + b, 0);
    const [loss] = await sumOver(communicator, [own * share]);
    return { loss: loss!, gradNorm: norm[0]! };
  };

  return {
    async step(micro, objective, learningRate) {
      const interrupt = (): void => backend.abort();
      signal?.throwIfAborted();
      signal?.addEventListener("abort", interrupt);
      const losses: Tensor[] = [];
      try {
        const result = await accumulate(micro, objective, losses);
        const { loss, gradNorm } = result;
        if (!Number.isFinite(loss) || !Number.isFinite(gradNorm))
          throw new InputError(
            `step ${optimizer.steps + 1}: the loss is ${loss} and the gradient norm ${gradNorm}; lower --learning_rate or compute in float32`,
          );
        optimizer.step(learningRate, clip);
        // The update is never interrupted: an abort in the next step must not find it still queued.
        signal?.removeEventListener("abort", interrupt);
        await backend.sync();
        return result;
      } finally {
        signal?.removeEventListener("abort", interrupt);
        for (const loss of losses) loss.dispose();
      }
    },
    [Symbol.dispose]() {
      clip.dispose();
      norms.dispose();
      optimizer.dispose();
    },
  };
}
