import { labelCount } from "../data/packing/collate.js";
import type { Batch } from "../data/packing/batch.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { sum } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { RunContext } from "../run/run-context.js";

export interface EvaluationTask {
  /** Number of rows and how to get a micro-batch of them. */
  readonly rows: number;
  readonly batch: (indices: readonly number[]) => Batch | Promise<Batch>;
  /** Per-token loss and hits of a batch, nothing recorded. */
  readonly loss: (batch: Batch) => { nll: Tensor; correct: Tensor };
}

/**
 * Loss, next-token accuracy and speed over an evaluation set. eval_loss is the average over rows of their batch's
 * token-mean loss, as the Hugging Face Trainer's, not an average over tokens.
 * @throws AbortError within a batch when the context's signal aborts
 */
export async function evaluate(
  task: EvaluationTask,
  batchSize: number,
  { log, signal }: RunContext,
): Promise<Record<string, number>> {
  const start = performance.now();
  let [weighted, hits, labels] = [0, 0, 0];
  const steps = Math.ceil(task.rows / batchSize);
  for (let step = 0; step < steps; step++) {
    const size = Math.min(batchSize, task.rows - step * batchSize);
    const batch = await task.batch(Array.from({ length: size }, (_, index) => step * batchSize + index));
    signal?.throwIfAborted();
    const count = labelCount(batch);
    const sums = scope(() =>
      noGrad(() => {
        const { nll, correct } = task.loss(batch);
        return [sum(nll), sum(correct)];
      }),
    );
    const interrupt = (): void => sums[0]?.backend.abort();
    signal?.addEventListener("abort", interrupt);
    try {
      const [loss = 0, correct = 0] = await Promise.all(sums.map((tensor) => tensor.item()));
      weighted += count === 0 ? 0 : (loss / count) * size;
      hits += correct;
    } finally {
      signal?.removeEventListener("abort", interrupt);
      for (const tensor of sums) tensor.dispose();
    }
    labels += count;
    log({ type: "progress", task: "evaluating", done: step + 1, total: steps, unit: "batches" });
  }
  const seconds = (performance.now() - start) / 1000;
  return {
    eval_loss: weighted / task.rows,
    eval_accuracy: labels === 0 ? 0 : hits / labels,
    ...speedMetrics("eval", seconds, task.rows, steps),
  };
}

/** runtime, samples and steps a second with the Trainer's names and rounding. */
export function speedMetrics(prefix: string, seconds: number, samples: number, steps: number): Record<string, number> {
  const round = (value: number, digits: number) => Number(value.toFixed(digits));
  return {
    [`${prefix}_runtime`]: round(seconds, 4),
    [`${prefix}_samples_per_second`]: round(samples / seconds, 3),
    [`${prefix}_steps_per_second`]: round(steps / seconds, 3),
  };
}
