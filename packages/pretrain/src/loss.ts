import { collate, type Row } from "@medgpt/core/data";
import type { CausalLm } from "@medgpt/core/models";
import type { Batch, DropoutDraw } from "@medgpt/core/nn";
import type { Tensor } from "@medgpt/core/tensor";

/** Micro-batches of rows by their numbers. */
export function batchesOf(rows: readonly Row[]): (indices: readonly number[]) => Batch {
  return (indices) => collate(indices.map((index) => rows[index] as Row));
}

/**
 * Next-token negative log-likelihood of a batch, the loss of causal language modelling.
 * @param p probability that the adapter's input drops an element
 * @returns (tokens) f32, 0 where there is no label
 */
export function causalLoss(model: CausalLm, p: number, gradientCheckpointing: boolean) {
  return (batch: Batch, draw: Omit<DropoutDraw, "site" | "p">): Tensor =>
    model.loss(batch, { gradientCheckpointing, dropout: p > 0 ? { ...draw, p } : undefined }).nll;
}
