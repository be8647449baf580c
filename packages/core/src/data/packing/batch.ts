/** Sequences of one micro-batch, end to end, without padding. */
export interface Batch {
  /** (tokens) */
  readonly ids: Int32Array;
  /** (tokens), position of each token in its sequence */
  readonly positions: Int32Array;
  /** (sequences + 1), first token of each sequence, then the number of tokens */
  readonly segments: Int32Array;
  /** (tokens), the id that each token must predict, or -100 */
  readonly labels: Int32Array;
}
