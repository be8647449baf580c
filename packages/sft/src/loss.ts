import { tokenLoss, type CausalLm } from "@medgpt/core/models";
import type { Batch } from "@medgpt/core/data";
import type { DropoutDraw } from "@medgpt/core/nn";
import type { Tensor } from "@medgpt/core/tensor";

export interface AnswerLossOptions {
  /** Probability that an adapter's input drops an element. */
  readonly dropout: number;
  /** NEFTune's alpha; 0 for no noise. */
  readonly neftAlpha: number;
  /** Layers whose activations are computed again in the backward pass. */
  readonly recomputedLayers: number;
}

/**
 * Next-token negative log-likelihood of the labelled tokens, which are those of the answers.
 * @returns (tokens) f32, 0 where there is no label
 */
export function answerLoss(model: CausalLm, { dropout, neftAlpha, recomputedLayers }: AnswerLossOptions) {
  return (batch: Batch, draw: Omit<DropoutDraw, "site" | "p">): Tensor =>
    tokenLoss(model, batch, {
      recomputedLayers,
      dropout: dropout > 0 ? { ...draw, p: dropout } : undefined,
      noise: neftAlpha > 0 ? { ...draw, alpha: neftAlpha } : undefined,
    }).nll;
}
