import { oneProcess, sumOver } from "../run/communicator.js";
import type { RunContext } from "../run/run-context.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { sum } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import type { OnHost } from "./on-host.js";
import type { Rows } from "./step-batches.js";

/** How a stage evaluates its batches. */
export interface Measure<B> {
  /** What the metrics of a batch are averaged over: labelled tokens, pairs, … */
  weight(batch: B): number;
  /**
   * The metrics of a batch, "loss" among them: tensors of any shape whose sum over the weight is the average, or the sums
   * themselves as they are computed on the host. Nothing is recorded.
   */
  measure(batch: B): Readonly<Record<string, Tensor>> | OnHost<Readonly<Record<string, number>>>;
}

/**
 * Metrics and speed over an evaluation set, under their names with the prefix eval_. As with the Hugging Face Trainer,
 * eval_loss is the average over rows of the mean loss of their batch; the others are averages over the whole weight. Each
 * process evaluates its share of the rows, and all get the same metrics.
 * @throws AbortError within a batch when the context's signal aborts
 */
export async function evaluate<B>(
  { rows, batch: makeBatch }: Rows<B>,
  { weight, measure }: Measure<B>,
  batchSize: number,
  { log, signal, communicator: all = oneProcess }: RunContext,
): Promise<Record<string, number>> {
  const start = performance.now();
  // Where there is not a row for each, every process evaluates them all.
  const communicator = rows < all.size ? oneProcess : all;
  const { rank, size: processes } = communicator;
  const steps = Math.ceil(rows / (batchSize * processes));
  let [lossOfRows, weights] = [0, 0];
  const totals: Record<string, number> = {};
  for (let step = 0; step < steps; step++) {
    const indices = Array.from({ length: batchSize }, (_, index) => (step * batchSize + index) * processes + rank);
    const own = indices.filter((index) => index < rows);
    if (own.length > 0) {
      const batch = await makeBatch(own);
      signal?.throwIfAborted();
      const count = weight(batch);
      const sums = await sumsOf(() => measure(batch), signal);
      for (const [name, value] of Object.entries(sums)) totals[name] = (totals[name] ?? 0) + value;
      lossOfRows += count === 0 ? 0 : ((sums["loss"] ?? NaN) / count) * own.length;
      weights += count;
    }
    log({ type: "progress", task: "evaluating", done: step + 1, total: steps, unit: "batches" });
  }
  const [allLossOfRows = 0, allWeights = 0, ...allTotals] = await sumOver(communicator, [
    ...[lossOfRows, weights],
    ...Object.values(totals),
  ]);
  const averages = Object.keys(totals).map((name, index) => [
    `eval_${name}`,
    name === "loss" ? allLossOfRows / rows : allWeights === 0 ? 0 : allTotals[index]! / allWeights,
  ]);
  const seconds = (performance.now() - start) / 1000;
  return { ...(Object.fromEntries(averages) as Record<string, number>), ...speedMetrics("eval", seconds, rows, steps) };
}

/** The sum of each metric. */
async function sumsOf(
  body: () => ReturnType<Measure<unknown>["measure"]>,
  signal: AbortSignal | undefined,
): Promise<Readonly<Record<string, number>>> {
  const measured = scope(() =>
    noGrad(() => {
      const result = body();
      if (isOnHost(result)) return result;
      return Object.fromEntries(Object.entries(result).map(([name, tensor]) => [name, sum(tensor)]));
    }),
  );
  const tensors = isOnHost(measured) ? [measured.outputs] : Object.values(measured);
  const interrupt = (): void => tensors[0]?.backend.abort();
  signal?.addEventListener("abort", interrupt);
  try {
    const values = await Promise.all(tensors.map((tensor) => tensor.read()));
    if (isOnHost(measured)) return measured.of(values[0] as Float32Array);
    return Object.fromEntries(Object.keys(measured).map((name, index) => [name, values[index]![0]!]));
  } finally {
    signal?.removeEventListener("abort", interrupt);
    for (const tensor of tensors) tensor.dispose();
  }
}

function isOnHost<T>(value: Readonly<Record<string, Tensor>> | OnHost<T>): value is OnHost<T> {
  return typeof value["of"] === "function";
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
