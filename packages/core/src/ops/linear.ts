import type { Backend } from "../backends/backend.js";
import { keptScale, type MatMulTerm } from "../backends/kernels.js";
import { gradOf, record } from "../tensor/autograd.js";
import type { DType } from "../numeric/dtype.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import type { Compute } from "./attention.js";
import { expectShape, rowsOf } from "./rows.js";

/** Where in the training run a dropout mask is drawn; the same place draws the same mask again. */
export interface DropoutDraw {
  readonly seed: number;
  readonly step: number;
  readonly microStep: number;
  /** Number of the module in the model. */
  readonly site: number;
  readonly p: number;
}

/** Low-rank adaptation of one projection: x A^T B^T * scale is added (Hu et al. 2021, arXiv:2106.09685). */
export interface LoraFactors {
  /** (rank, in) */
  readonly a: Tensor;
  /** (out, rank) */
  readonly b: Tensor;
  readonly scale: number;
  /** Dropout on the adapter's input, while training. */
  readonly dropout?: DropoutDraw | undefined;
}

export interface Projection {
  /** (out, in), as torch.nn.Linear stores it. */
  readonly weight: Tensor;
  /** The weight is (in, out), as GPT-2's Conv1D stores it. */
  readonly fanInFanOut?: boolean | undefined;
  /** (out) */
  readonly bias?: Tensor | undefined;
  /** Adapters; what they give is summed. */
  readonly loras?: readonly LoraFactors[];
  /** dtype of the output; default that of x. */
  readonly dtype?: DType | undefined;
}

/**
 * Several projections of one input: y_i = x W_i^T + b_i + the sum of scale * dropout(x) A^T B^T over its adapters. They
 * are one op so that the gradient of x is one sum of products, complete in f32 before it is rounded.
 * @param x (tokens, in)
 * @returns one (tokens, out_i) for each projection
 */
export const linear = op("linear", (x: Tensor, projections: readonly Projection[], compute: Compute): Tensor[] => {
  const [rows, cols] = rowsOf(x);
  const { backend } = x;
  const { kernels } = backend;
  const product = products(backend, compute);
  const down: Tensor[][] = []; // scale * dropout(x) A^T of each adapter, (tokens, rank)
  const outputs = projections.map(({ weight, fanInFanOut, bias, loras = [], dtype }) => {
    const width = rowsOf(weight, "weight")[fanInFanOut ? 1 : 0];
    expectShape(weight, fanInFanOut ? [cols, width] : [width, cols], "weight");
    expectShape(bias, [width], "bias");
    const us = loras.map(({ a, b, scale, dropout = NO_DROPOUT }) => {
      const [rank] = rowsOf(a, "lora_A");
      expectShape(a, [rank, cols], "lora_A");
      expectShape(b, [width, rank], "lora_B");
      const u = empty(backend, [rows, rank], "f32");
      kernels.loraDown({ out: u, x, a, rows, cols, rank, scale, compute: rounding(compute), ...dropout });
      return u;
    });
    down.push(us);
    const base = fanInFanOut ? through(x, weight, cols, width) : times(x, weight, cols);
    const terms = [base, ...us.map((u, index) => times(u, loras[index]!.b, u.shape[1]!))];
    return product(empty(backend, [rows, width], dtype ?? x.dtype), rows, width, terms, bias);
  });

  const { shape, dtype, requiresGrad: wanted } = x;
  const saved = projections.flatMap(({ weight, loras = [] }, index) => [
    weight,
    ...loras.flatMap(({ a, b }, adapter) => [down[index]![adapter]!, a, b]),
  ]);
  // The input is read again for the gradients of weights and factors only.
  const needsInput = projections.some(({ weight, loras = [] }) =>
    [weight, ...loras.map(({ a }) => a)].some((tensor) => tensor.requiresGrad),
  );
  const needsMask = wanted && projections.some(({ loras = [] }) => loras.some(({ dropout }) => dropout !== undefined));
  const keepsInput = needsInput || needsMask;
  const operands = { inputs: [x], weights: weightsOf(projections) };
  record("linear", operands, outputs, keepsInput ? [x, ...saved] : saved, (gradients, saved) => {
    const rest = [...saved];
    const next = (): Tensor => rest.shift() as Tensor;
    const x = keepsInput ? next() : undefined;
    const terms: MatMulTerm[] = []; // of dx
    projections.forEach(({ weight: parameter, fanInFanOut, bias, loras = [] }, index) => {
      const weight = next();
      const adapters = loras.map((lora) => ({ lora, u: next(), a: next(), b: next() }));
      const dy = gradients[index];
      if (dy === undefined) return;
      const width = weight.shape[fanInFanOut ? 1 : 0] as number;
      const dWeight = gradOf(parameter);
      const dBias = gradOf(bias);
      if (dWeight !== undefined && x !== undefined) {
        if (fanInFanOut) product(dWeight, cols, width, [transposed(x, cols, dy, width, rows)], undefined, 1);
        else product(dWeight, width, cols, [transposed(dy, width, x, cols, rows)], undefined, 1);
      }
      if (dBias !== undefined) kernels.sumRows({ out: dBias, x: dy, rows, cols: width });
      if (wanted) terms.push(fanInFanOut ? times(dy, weight, width) : through(dy, weight, width, cols));
      for (const adapter of adapters) {
        const term = loraBackward(adapter, dy, x, { wanted, cols, compute });
        if (wanted) terms.push(term);
      }
    });
    return [wanted && terms.length > 0 ? product(empty(backend, shape, dtype), rows, cols, terms) : undefined];
  });
  return outputs;
});

/**
 * Adds to the gradients of an adapter's factors.
 * @param x the projection's input, where a factor's gradient or a mask is made of it
 * @returns what the adapter adds to the gradient of the input
 */
function loraBackward(
  { lora, u, a, b }: { lora: LoraFactors; u: Tensor; a: Tensor; b: Tensor },
  dy: Tensor,
  x: Tensor | undefined,
  { wanted, cols, compute }: { wanted: boolean; cols: number; compute: Compute },
): MatMulTerm {
  const { backend } = dy;
  const [width, rank] = rowsOf(b, "lora_B");
  const rows = rowsOf(dy)[0];
  const { dropout = NO_DROPOUT, scale } = lora;
  const shape = { rows, rank, compute: rounding(compute) };
  const du = empty(backend, [rows, rank], "f32");
  backend.kernels.loraUpBackward({ du, dB: gradOf(lora.b), dy, u, b, cols: width, scale, ...shape });
  const dA = gradOf(lora.a);
  const isMasked = wanted && lora.dropout !== undefined;
  const mask = isMasked ? empty(backend, [rows, Math.ceil(cols / 32)], "i32") : undefined;
  if (x !== undefined && (dA !== undefined || mask !== undefined))
    backend.kernels.loraDownBackward({ dA, mask, du, x, cols, ...shape, ...dropout });
  return { ...through(du, a, rank, cols, keptScale(dropout.p)), mask };
}

/** What is trained where it is a parameter, by its name in an error. */
function weightsOf(projections: readonly Projection[]): Record<string, Tensor | undefined> {
  const named = projections.flatMap(({ weight, bias, loras = [] }, index) => [
    [`weight ${index}`, weight] as const,
    [`bias ${index}`, bias] as const,
    ...loras.flatMap(({ a, b }, adapter) => [
      [`lora_A ${index}.${adapter}`, a] as const,
      [`lora_B ${index}.${adapter}`, b] as const,
    ]),
  ]);
  return Object.fromEntries(named);
}

/** Sums of products, written to `out` or added to it. */
function products(backend: Backend, compute: Compute) {
  return (
    out: Tensor,
    m: number,
    n: number,
    terms: readonly MatMulTerm[],
    bias?: Tensor,
    accumulate: 0 | 1 = 0,
  ): Tensor => {
    backend.kernels.matMul({ out, ldc: n, m, n, bias, accumulate, compute: rounding(compute), terms });
    return out;
  };
}

const rounding = (compute: Compute): number => (compute === "bf16" ? 1 : 0);

/** x (m, k) times w^T, w (n, k). */
function times(x: Tensor, w: Tensor, k: number, scale = 1): MatMulTerm {
  return { a: x, lda: k, aTrans: false, b: w, ldb: k, bTrans: true, k, scale };
}

/** dy (m, k) times w (k, n). */
function through(dy: Tensor, w: Tensor, k: number, n: number, scale = 1): MatMulTerm {
  return { a: dy, lda: k, aTrans: false, b: w, ldb: n, bTrans: false, k, scale };
}

/** a^T b with a (k, m) and b (k, n). */
function transposed(a: Tensor, m: number, b: Tensor, n: number, k: number): MatMulTerm {
  return { a, lda: m, aTrans: true, b, ldb: n, bTrans: false, k, scale: 1 };
}

const NO_DROPOUT: DropoutDraw = { p: 0, seed: 0, step: 0, microStep: 0, site: 0 };
