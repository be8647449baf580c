import { labelCount } from "../data/packing/collate.js";
import type { Batch } from "../data/packing/batch.js";
import { tokenLoss, type CausalLm } from "../models/role.js";
import type { Measure } from "../training/evaluate.js";
import type { StageTask } from "./train-and-evaluate.js";

/** How causal language models are evaluated: loss and accuracy of the next token, and the perplexity that the loss means. */
export function nextTokenMetrics(model: CausalLm): Measure<Batch> & Required<Pick<StageTask, "results">> {
  return {
    weight: labelCount,
    measure(batch) {
      const { nll, correct } = tokenLoss(model, batch);
      return { loss: nll, accuracy: correct };
    },
    results: ({ eval_loss = NaN }) => ({ perplexity: Math.exp(eval_loss) }),
  };
}
