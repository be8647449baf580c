import type { Tensor } from "../tensor/tensor.js";

/**
 * Something that is computed in JavaScript from a short tensor: log-probabilities of tokens, or scores of sequences. Losses of
 * preference and reinforcement learning are such pure functions, so that backends need no kernels for them.
 */
export interface OnHost<T> {
  /** f32, of any shape; freed by whoever reads it. */
  readonly outputs: Tensor;
  readonly of: (values: Float32Array) => T;
}

export interface LossAndGradient {
  /** The sum of the losses. */
  readonly loss: number;
  /** Its derivative by each element of `outputs`. */
  readonly gradient: ArrayLike<number>;
}
