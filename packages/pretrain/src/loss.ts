import { tokenLoss } from "@medgpt/core/models";
import type { Batch } from "@medgpt/core/data";
import { nextTokenMetrics, type OpenedModel } from "@medgpt/core/stage";
import type { Draw } from "@medgpt/core/training";

/**
 * The objective of causal language modelling: the negative log-likelihood of the next token, (tokens) f32, 0 where there is
 * no label.
 * @param recomputedLayers layers whose activations are computed again in the backward pass
 */
export function causalLoss({ model, lora }: Pick<OpenedModel, "model" | "lora">, recomputedLayers: number) {
  const p = lora?.lora_dropout ?? 0;
  return {
    ...nextTokenMetrics(model),
    loss: (batch: Batch, draw: Draw) =>
      tokenLoss(model, batch, { recomputedLayers, dropout: p > 0 ? { ...draw, p } : undefined }).nll,
  };
}
