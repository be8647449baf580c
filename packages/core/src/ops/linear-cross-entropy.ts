import { gradOf, record } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import type { Compute } from "./attention.js";
import { expectShape, rowsOf } from "./rows.js";

export interface CrossEntropyOptions {
  readonly compute: Compute;
  /** Logits become cap * tanh(logits / cap) where above 0 (Gemma 2). */
  readonly softCap?: number;
}

/**
 * Cross entropy of the output head, computed in vocabulary blocks so that the logits never exist as a whole.
 * @param hidden (tokens, hidden)
 * @param weight (vocab, hidden), the head or the tied embedding
 * @param labels (tokens) i32, already shifted; -100 is ignored
 * @returns nll (tokens) f32, 0 where ignored; correct (tokens) f32, 1 where the arg max is the label
 */
export const linearCrossEntropy = op(
  "linearCrossEntropy",
  (
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    { compute, softCap = 0 }: CrossEntropyOptions,
  ): { nll: Tensor; correct: Tensor } => {
    const [rows, cols] = rowsOf(hidden, "hidden");
    const [vocab] = rowsOf(weight, "weight");
    expectShape(weight, [vocab, cols], "weight");
    expectShape(labels, [rows], "labels");
    const [nll, lse, correct] = [0, 1, 2].map(() => empty(hidden.backend, [rows], "f32")) as [Tensor, Tensor, Tensor];
    const dLogP = hidden.requiresGrad ? empty(hidden.backend, hidden.shape, "f32") : undefined;
    const shape = { rows, cols, vocab, softCap, compute: compute === "bf16" ? 1 : 0 };
    hidden.backend.kernels.linearCrossEntropy({ nll, lse, correct, dHidden: dLogP, hidden, weight, labels, ...shape });
    const save = [hidden, weight, labels, lse, ...(dLogP === undefined ? [] : [dLogP])];
    const parameter = weight;
    const operands = { inputs: [hidden], weights: { weight }, constants: { labels } };
    record("linearCrossEntropy", operands, [nll], save, ([upstream], saved) => {
      const [hidden, weight, labels, lse, dLogP] = saved as [Tensor, Tensor, Tensor, Tensor, Tensor?];
      if (upstream === undefined) return [];
      const { kernels } = hidden.backend;
      const dWeight = gradOf(parameter);
      if (dWeight !== undefined)
        kernels.linearCrossEntropyWeightBackward({ dWeight, hidden, weight, labels, lse, upstream, ...shape });
      if (dLogP === undefined) return [];
      const dHidden = empty(hidden.backend, hidden.shape, hidden.dtype);
      kernels.scaleRows({ out: dHidden, x: dLogP, scale: upstream, rows, cols });
      return [dHidden];
    });
    return { nll, correct };
  },
);
