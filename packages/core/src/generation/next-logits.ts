import { scope } from "../tensor/scope.js";
import { noGrad } from "../tensor/autograd.js";
import { tensor } from "../tensor/tensor.js";
import { embedding } from "../ops/index.js";
import type { CausalLm } from "../models/causal-lm.js";
import type { KvCache } from "./kv-cache.js";

/** New tokens of a cached sequence. */
export interface Continuation {
  readonly slot: number;
  /** How many tokens the cache has before these. */
  readonly position: number;
  readonly ids: ArrayLike<number>;
}

/** Runs new tokens of some sequences through the model; gives for each the logits (vocab) after its last token. */
export async function nextLogits(
  model: CausalLm,
  cache: KvCache,
  sequences: readonly Continuation[],
): Promise<Float32Array[]> {
  const logits = scope(() =>
    noGrad(() => {
      const total = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
      const [ids, positions] = [new Int32Array(total), new Int32Array(total)];
      const segments = new Int32Array(sequences.length + 1);
      sequences.forEach(({ position, ids: own }, index) => {
        const first = segments[index] as number;
        segments[index + 1] = first + own.length;
        for (let i = 0; i < own.length; i++) {
          ids[first + i] = own[i] as number;
          positions[first + i] = position + i;
        }
      });
      const batch = { ids, positions, segments, labels: new Int32Array(total).fill(-100) };
      const hidden = model.forward(batch, { cache: cache.view(sequences.map(({ slot }) => slot)) });
      const last = segments.subarray(1).map((end) => end - 1);
      const rows = embedding(hidden, tensor(model.backend, last, [last.length]), { dtype: hidden.dtype });
      return model.logits(rows);
    }),
  );
  try {
    const values = (await logits.read()) as Float32Array;
    const width = logits.shape[1] as number;
    return sequences.map((_, row) => values.slice(row * width, (row + 1) * width));
  } finally {
    logits.dispose();
  }
}
