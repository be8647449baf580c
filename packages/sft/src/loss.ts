import { tokenLoss } from "@medgpt/core/models";
import type { Batch } from "@medgpt/core/data";
import { nextTokenMetrics, type OpenedModel } from "@medgpt/core/stage";
import type { Draw } from "@medgpt/core/training";

/**
 * The negative log-likelihood of the labelled tokens, which are those of the answers: (tokens) f32, 0 where there is no label.
 * @param neftAlpha NEFTune's alpha; 0 for no noise
 * @param recomputedLayers layers whose activations are computed again in the backward pass
 */
export function answerLoss(
  { model, lora }: Pick<OpenedModel, "model" | "lora">,
  { neftAlpha, recomputedLayers }: { readonly neftAlpha: number; readonly recomputedLayers: number },
) {
  const p = lora?.lora_dropout ?? 0;
  return {
    ...nextTokenMetrics(model),
    loss: (batch: Batch, draw: Draw) =>
      tokenLoss(model, batch, {
        recomputedLayers,
        dropout: p > 0 ? { ...draw, p } : undefined,
        noise: neftAlpha > 0 ? { ...draw, alpha: neftAlpha } : undefined,
      }).nll,
  };
}
