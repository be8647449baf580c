import { tokenLoss, type CausalLm } from "@medgpt/core/models";
import type { Batch } from "@medgpt/core/data";
import type { DropoutDraw } from "@medgpt/core/nn";
import type { Tensor } from "@medgpt/core/tensor";

/**
 * Next-token negative log-likelihood of a batch, the loss of causal language modelling.
 * @param p probability that an adapter's input drops an element
 * @param recomputedLayers layers whose activations are computed again in the backward pass
 * @returns (tokens) f32, 0 where there is no label
 */
export function causalLoss(model: CausalLm, p: number, recomputedLayers: number) {
  return (batch: Batch, draw: Omit<DropoutDraw, "site" | "p">): Tensor =>
    tokenLoss(model, batch, { recomputedLayers, dropout: p > 0 ? { ...draw, p } : undefined }).nll;
}
