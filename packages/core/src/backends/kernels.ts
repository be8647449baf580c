/**
 * Every kernel a backend runs, with its arguments in wire order. This table is the whole numeric contract: the
 * TypeScript types, the encoding for the native backend and the list the shared tests walk all come from it.
 *
 * Conventions. Matrices are row-major and dense. A "view" is a buffer and an element offset; its dtype decides how
 * elements are loaded and stored, while every sum, statistic and transcendental is computed in f32 or better.
 * Outputs come first. "accumulate" means the output is added to; otherwise it is overwritten. "compute" is the
 * precision of a product's factors: 0 = f32, 1 = bf16 (sums are f32 in both).
 */

/** A region of a backend's buffer. A Tensor is one. */
export interface View {
  readonly buffer: number;
  readonly offset: number;
  readonly dtype: import("../numeric/dtype.js").DType;
}

/**
 * One product of a sum of products. op(A) is (m, k), op(B) is (k, n).
 * aTrans: A is stored (k, m) with row stride lda, else (m, k). bTrans: B is stored (n, k) with row stride ldb
 * (a PyTorch Linear weight), else (k, n). scale multiplies this product alone, in f32. mask, where given, is i32
 * (m, ceil(n / 32)): element (i, j) of this product counts only where bit j % 32 of word (i, floor(j / 32)) is set.
 */
export interface MatMulTerm {
  a: View;
  lda: number;
  aTrans: boolean;
  b: View;
  ldb: number;
  bTrans: boolean;
  k: number;
  scale: number;
  mask?: View | undefined;
}

type Field = "view" | "view?" | "number" | "terms";

export const KERNELS = {
  /** out[i] = value for i < count. f32, bf16 or i32. */
  fill: { out: "view", count: "number", value: "number" },

  /** out[i] = x[i] for i < count, converting between any two float dtypes (round to nearest even). */
  copy: { out: "view", x: "view", count: "number" },

  /** out[i] = alpha * a[i] + beta * b[i]; out may be a or b. Any mix of f32 and bf16. */
  add: { out: "view", a: "view", b: "view", count: "number", alpha: "number", beta: "number" },

  /** out[i] = x[i] * factor * (scalar ? scalar[0] : 1); x may have one element, which is then repeated (xStride 0, else 1). */
  scale: { out: "view", x: "view", xStride: "number", scalar: "view?", count: "number", factor: "number" },

  /** out[r, c] = x[r, c] * scale[r]; scale is f32 (rows). */
  scaleRows: { out: "view", x: "view", scale: "view", rows: "number", cols: "number" },

  /** out[i] = cap * tanh(x[i] / cap), cap > 0; out may be x. */
  softCap: { out: "view", x: "view", count: "number", cap: "number" },

  /** out[0] (f32) = factor * sum of x[i], summed in f64 in fixed chunks of 65,536 whose partial sums are added in order. */
  sum: { out: "view", x: "view", count: "number", factor: "number" },

  /** out[c] (f32) += sum over rows of x[r, c]. */
  sumRows: { out: "view", x: "view", rows: "number", cols: "number" },

  /** out[r] (i32) = the index of the first of the largest x[r, c]; NaN is larger than nothing, and nothing is larger than NaN. */
  argMax: { out: "view", x: "view", rows: "number", cols: "number" },

  /**
   * out (m, n) = [accumulate ? out : 0] + sum of terms + [bias], bias (n) broadcast over rows. Masked terms and accumulate
   * do not go together.
   * The whole sum over every term's k stays in f32 until it is complete. Row stride of out is ldc.
   */
  matMul: {
    out: "view",
    ldc: "number",
    m: "number",
    n: "number",
    bias: "view?",
    accumulate: "number",
    compute: "number",
    terms: "terms",
  },

  /** out[r] = table[ids[r]] * factor: out (rows, cols), table (vocab, cols), ids i32. An id outside [0, vocab) is an error. */
  embedding: {
    out: "view",
    table: "view",
    ids: "view",
    rows: "number",
    cols: "number",
    vocab: "number",
    factor: "number",
  },

  /** dTable[ids[r]] (f32) += dOut[r] * factor, rows taken in order, those whose id is `padding` left out; -1 leaves out none. */
  embeddingBackward: {
    dTable: "view",
    dOut: "view",
    ids: "view",
    rows: "number",
    cols: "number",
    vocab: "number",
    factor: "number",
    padding: "number",
  },

  /** out = x * rstd * (weight + offset), rstd (rows, f32) = 1 / sqrt(mean(x^2) + eps). offset is 1 for Gemma, else 0. */
  rmsNorm: {
    out: "view",
    rstd: "view",
    x: "view",
    weight: "view",
    rows: "number",
    cols: "number",
    eps: "number",
    offset: "number",
  },

  /** dx, where given, overwritten: the gradient plus base, where given; dWeight (f32, cols) accumulated where given. */
  rmsNormBackward: {
    dx: "view?",
    base: "view?",
    dWeight: "view?",
    dOut: "view",
    x: "view",
    weight: "view",
    rstd: "view",
    rows: "number",
    cols: "number",
    offset: "number",
  },

  /** out = (x - mean) * rstd * weight + bias; mean and rstd (rows) f32, biased variance. */
  layerNorm: {
    out: "view",
    mean: "view",
    rstd: "view",
    x: "view",
    weight: "view",
    bias: "view?",
    rows: "number",
    cols: "number",
    eps: "number",
  },

  /** dx, where given, overwritten: the gradient plus base, where given; dWeight and dBias (f32, cols) accumulated where given. */
  layerNormBackward: {
    dx: "view?",
    base: "view?",
    dWeight: "view?",
    dBias: "view?",
    dOut: "view",
    x: "view",
    weight: "view",
    mean: "view",
    rstd: "view",
    rows: "number",
    cols: "number",
  },

  /**
   * out (rows, 2 * half) f32 = [cos | sin] of positions[r] * invFreq[j], times factor. positions i32 (rows), invFreq f32
   * (half). The product is rounded to f32 before cos and sin, as PyTorch does.
   */
  ropeTable: { out: "view", positions: "view", invFreq: "view", rows: "number", half: "number", factor: "number" },

  /**
   * Rotary embedding in the rotate_half layout on x (rows, heads, dim): for j < half, (x[j], x[j + half]) is rotated by the
   * table's angle; elements from 2 * half on are copied. inverse 1 rotates back (the gradient). out may be x.
   */
  rope: {
    out: "view",
    x: "view",
    table: "view",
    rows: "number",
    heads: "number",
    dim: "number",
    half: "number",
    inverse: "number",
  },

  /**
   * Causal attention inside each segment. Element (token t, head h, j) of q lies at q[t * qStride + h * qHead + j], likewise
   * k and v (with kvHeads heads; query head h reads kv head floor(h * kvHeads / heads)); out is (rows, heads, dim) dense.
   * segments i32 (segmentCount + 1): token offsets, first 0, last rows. scores = (q . k) * scale, soft-capped where
   * softCap > 0 (cap * tanh(s / cap)), plus slopes[h] * (key index in segment - query index) where slopes (f32) is given;
   * with window > 0 a key is seen only if query - key < window. lse (heads, rows) f32 = log-sum-exp of the scores.
   */
  attention: {
    out: "view",
    lse: "view",
    q: "view",
    k: "view",
    v: "view",
    segments: "view",
    slopes: "view?",
    segmentCount: "number",
    rows: "number",
    heads: "number",
    kvHeads: "number",
    dim: "number",
    qStride: "number",
    qHead: "number",
    kStride: "number",
    kHead: "number",
    vStride: "number",
    vHead: "number",
    scale: "number",
    softCap: "number",
    window: "number",
    compute: "number",
  },

  /** dq, dk, dv overwritten, laid out exactly as q, k, v. dOut and out (rows, heads, dim) dense. */
  attentionBackward: {
    dq: "view",
    dk: "view",
    dv: "view",
    dOut: "view",
    out: "view",
    lse: "view",
    q: "view",
    k: "view",
    v: "view",
    segments: "view",
    slopes: "view?",
    segmentCount: "number",
    rows: "number",
    heads: "number",
    kvHeads: "number",
    dim: "number",
    qStride: "number",
    qHead: "number",
    kStride: "number",
    kHead: "number",
    vStride: "number",
    vHead: "number",
    scale: "number",
    softCap: "number",
    window: "number",
    compute: "number",
  },

  /**
   * Puts keys or values of rows where attentionCached finds them: head h of row r, dim elements at x[r * xStride + h * xHead],
   * becomes cache[slots[r], h, positions[r]]. cache (slotCount, heads, capacity, dim); slots, the row's sequence, and positions,
   * its place there, are i32 (rows), and a place outside the cache is an error.
   */
  cacheRows: {
    cache: "view",
    x: "view",
    slots: "view",
    positions: "view",
    slotCount: "number",
    capacity: "number",
    rows: "number",
    heads: "number",
    dim: "number",
    xStride: "number",
    xHead: "number",
  },

  /**
   * attention of each row's queries, head h at q[r * qStride + h * qHead], with the keys 0 to positions[r] of sequence slots[r]
   * in the caches (slotCount, kvHeads, capacity, dim), and the scores, caps, slopes and window as there; out (rows, heads, dim).
   */
  attentionCached: {
    out: "view",
    q: "view",
    keys: "view",
    values: "view",
    slots: "view",
    positions: "view",
    slopes: "view?",
    slotCount: "number",
    capacity: "number",
    rows: "number",
    heads: "number",
    kvHeads: "number",
    dim: "number",
    qStride: "number",
    qHead: "number",
    scale: "number",
    softCap: "number",
    window: "number",
  },

  /** out = act(x), or act(x) * up where up is given. kind: see ACTIVATIONS. */
  activation: { out: "view", x: "view", up: "view?", count: "number", kind: "number" },

  /** dx = dOut * act'(x) * [up]; dUp = dOut * act(x) where up is given. */
  activationBackward: {
    dx: "view",
    dUp: "view?",
    dOut: "view",
    x: "view",
    up: "view?",
    count: "number",
    kind: "number",
  },

  /**
   * out (rows, rank) f32 = scale * dropout(x) a^T: x (rows, cols), a (rank, cols). dropout multiplies by mask / (1 - p),
   * 0 <= p < 1 in steps of 2^-16, the mask drawn from Philox 4x32-10: for column c of its group g = floor(col / 128),
   * key = (seed low, seed high), counter = (16 g + floor((c % 32) / 2), row, site + 65536 * microStep, step), word
   * floor(c / 32), its lower half for an even c, else its upper half; kept where the half >= round(p * 2^16).
   */
  loraDown: {
    out: "view",
    x: "view",
    a: "view",
    rows: "number",
    cols: "number",
    rank: "number",
    scale: "number",
    compute: "number",
    p: "number",
    seed: "number",
    step: "number",
    microStep: "number",
    site: "number",
  },

  /**
   * The gradients of loraDown, with du (rows, rank) that of dropout(x) a^T, so scale included: dA (rank, cols) f32, where
   * given, += du^T dropout(x), the mask drawn again; mask i32 (rows, ceil(cols / 32)), where given, is that mask, for
   * dx = du a / (1 - p) where it is set (a masked term of matMul).
   */
  loraDownBackward: {
    dA: "view?",
    mask: "view?",
    du: "view",
    x: "view",
    rows: "number",
    cols: "number",
    rank: "number",
    compute: "number",
    p: "number",
    seed: "number",
    step: "number",
    microStep: "number",
    site: "number",
  },

  /** The gradients of y = u b^T, b (cols, rank): du (rows, rank) f32 = scale * dy b; dB (cols, rank) f32, where given, += dy^T u. */
  loraUpBackward: {
    du: "view",
    dB: "view?",
    dy: "view",
    u: "view",
    b: "view",
    rows: "number",
    cols: "number",
    rank: "number",
    scale: "number",
    compute: "number",
  },

  /**
   * Cross entropy of softmax(hidden . weight^T) without materialising the logits. hidden (rows, cols), weight (vocab, cols),
   * labels i32 (rows), -100 skipped. nll (rows) f32 = lse - logit[label], 0 where skipped; lse (rows) f32; correct (rows)
   * f32, where given, is 1 if the first arg max is the label. dHidden (rows, cols) f32, where given, = d(nll)/d(hidden),
   * to be scaled by the upstream gradient; 0 where skipped. softCap > 0 caps the logits.
   */
  linearCrossEntropy: {
    nll: "view",
    lse: "view",
    correct: "view?",
    dHidden: "view?",
    hidden: "view",
    weight: "view",
    labels: "view",
    rows: "number",
    cols: "number",
    vocab: "number",
    softCap: "number",
    compute: "number",
  },

  /** dWeight (vocab, cols) f32 accumulated: sum over rows of upstream[r] * (softmax - onehot)[v] * hidden[r]. */
  linearCrossEntropyWeightBackward: {
    dWeight: "view",
    hidden: "view",
    weight: "view",
    labels: "view",
    lse: "view",
    upstream: "view",
    rows: "number",
    cols: "number",
    vocab: "number",
    softCap: "number",
    compute: "number",
  },

  /**
   * out[0] = 2-norm of grads (squares summed in f64, chunks of 65,536 in order), out[1] = the factor that clips it:
   * min(1, maxNorm / (norm + 1e-6)), or 1 where maxNorm is 0. f32.
   */
  clipGradNorm: { out: "view", grads: "view", count: "number", maxNorm: "number" },

  /**
   * Decoupled AdamW on count f32 elements: g = gradScale[0] * grads; params *= 1 - lr * weightDecay;
   * m += (1 - beta1) * (g - m); v = beta2 * v + (1 - beta2) * g^2;
   * params -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + eps). step counts from 1.
   */
  adamW: {
    params: "view",
    grads: "view",
    expAvg: "view",
    expAvgSq: "view",
    gradScale: "view?",
    count: "number",
    lr: "number",
    beta1: "number",
    beta2: "number",
    eps: "number",
    weightDecay: "number",
    step: "number",
  },
} as const satisfies Record<string, Record<string, Field>>;

/** Activation functions by their number on the wire. gelu_tanh is Bloom's and GPT-2's; gelu is the erf form. */
export const ACTIVATIONS = ["silu", "gelu_tanh", "gelu", "relu"] as const;
export type Activation = (typeof ACTIVATIONS)[number];

export type KernelName = keyof typeof KERNELS;

type FieldType<F> = F extends "view"
  ? View
  : F extends "view?"
    ? View | undefined
    : F extends "number"
      ? number
      : readonly MatMulTerm[];

/** The arguments of one kernel, as an object with the table's names. */
export type KernelArgs<K extends KernelName> = { [P in keyof (typeof KERNELS)[K]]: FieldType<(typeof KERNELS)[K][P]> };

/** Functions that enqueue each kernel. */
export type Kernels = { readonly [K in KernelName]: (args: KernelArgs<K>) => void };

/** What dropout multiplies a kept value by: 1 / (1 - p), p in steps of 2^-16. */
export function keptScale(p: number): number {
  return 65_536 / (65_536 - dropThreshold(p));
}

/** A 16-bit draw below this is dropped. */
export function dropThreshold(p: number): number {
  return Math.min(65_535, Math.round(p * 65_536));
}
