import { collate } from "../data/collate.js";
import type { CausalLm } from "../models/causal-lm.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";

export interface GreedyOptions {
  readonly maxNewTokens: number;
  /** Ends the text; it is not returned. */
  readonly eosId?: number | undefined;
}

/**
 * Continues a sequence with the likeliest token each time. Every token runs the whole sequence through the model again,
 * which is fine for a sample of a few dozen tokens.
 * @returns the new ids
 */
export async function generateGreedy(
  model: CausalLm,
  prompt: Int32Array,
  { maxNewTokens, eosId }: GreedyOptions,
): Promise<Int32Array> {
  const ids = [...prompt];
  const { maxPositions = Infinity } = model.options;
  while (ids.length < Math.min(prompt.length + maxNewTokens, maxPositions)) {
    const logits = scope(() =>
      noGrad(() => {
        const hidden = model.forward(collate([{ ids: Int32Array.from(ids) }]));
        const width = model.options.hiddenSize;
        return model.logits(hidden.view([1, width], (ids.length - 1) * width));
      }),
    );
    const values = await logits.read();
    logits.dispose();
    let best = 0;
    values.forEach((value, id) => {
      if (value > (values[best] as number)) best = id;
    });
    if (best === eosId) break;
    ids.push(best);
  }
  return Int32Array.from(ids.slice(prompt.length));
}
