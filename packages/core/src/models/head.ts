/** What a role ends in: the output head of a language model, or the score of a classifier. */
import { linear, linearCrossEntropy, takeRows, type Compute } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { tensor, type Tensor } from "../tensor/tensor.js";

export interface HeadOptions {
  readonly compute: Compute;
  /** Logits become cap * tanh(logits / cap) where above 0 (Gemma 2). */
  readonly softCap?: number | undefined;
}

export class LmHead {
  constructor(
    /** (vocab, hidden) */
    readonly weight: Tensor,
    private readonly options: HeadOptions,
  ) {}

  /**
   * @param hidden (tokens, hidden) final hidden states
   * @param labels (tokens) the id that each token must predict, or -100
   * @returns nll (tokens) f32, the negative log-probability of every label, 0 where it is -100; correct (tokens), 1 where
   *   the likeliest id is the label
   */
  nll(hidden: Tensor, labels: Int32Array): { nll: Tensor; correct: Tensor } {
    const { compute, softCap = 0 } = this.options;
    return scope(() => {
      const wanted = tensor(hidden.backend, labels, [labels.length]);
      return linearCrossEntropy(hidden, this.weight, wanted, { compute, softCap });
    });
  }

  /** Logits (rows, vocab) f32 of hidden states (rows, hidden), without gradients. */
  logits(hidden: Tensor): Tensor {
    const { compute, softCap: cap } = this.options;
    return scope(() => {
      const logits = noGrad(() => linear(hidden, [{ weight: this.weight, dtype: "f32" }], compute)[0] as Tensor);
      if (cap !== undefined) hidden.backend.kernels.softCap({ out: logits, x: logits, count: logits.size, cap });
      return logits;
    });
  }
}

export class ScoreHead {
  constructor(
    /** (labels, hidden) */
    readonly weight: Tensor,
    private readonly options: Pick<HeadOptions, "compute">,
  ) {}

  /**
   * @param hidden (tokens, hidden) final hidden states
   * @param rows the tokens that are scored: of a reward model the last of each sequence; by default every token
   * @returns (rows, labels) f32
   */
  scores(hidden: Tensor, rows?: Int32Array): Tensor {
    return scope(() => {
      const scored = rows === undefined ? hidden : takeRows(hidden, tensor(hidden.backend, rows, [rows.length]));
      return linear(scored, [{ weight: this.weight, dtype: "f32" }], this.options.compute)[0] as Tensor;
    });
  }
}
