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
  readonly lora?: LoraFactors | undefined;
  /** dtype of the output; default that of x. */
  readonly dtype?: DType | undefined;
}

/**
 * Several projections of one input: y_i = x W_i^T + b_i + scale_i * dropout_i(x) A_i^T B_i^T. They are one op so that the
 * gradient of x is one sum of products, complete in f32 before it is rounded.
 * @param x (tokens, in)
 * @returns one (tokens, out_i) for each projection
 */
export const linear = op("linear", (x: Tensor, projections: readonly Projection[], compute: Compute): Tensor[] => {
  const [rows, cols] = rowsOf(x);
  const { backend } = x;
  const { kernels } = backend;
  const rounding = compute === "bf16" ? 1 : 0;
  const product = (
    out: Tensor,
    m: number,
    n: number,
    terms: readonly MatMulTerm[],
    bias?: Tensor,
    accumulate = 0,
  ): Tensor => {
    kernels.matMul({ out, ldc: n, m, n, bias, accumulate, compute: rounding, terms });
    return out;
  };
  const down: (Tensor | undefined)[] = []; // scale * dropout(x) A^T, (tokens, rank)
  const outputs = projections.map(({ weight, fanInFanOut, bias, lora, dtype }) => {
    const width = rowsOf(weight, "weight")[fanInFanOut ? 1 : 0];
    expectShape(weight, fanInFanOut ? [cols, width] : [width, cols], "weight");
    expectShape(bias, [width], "bias");
    const terms = [fanInFanOut ? through(x, weight, cols, width) : times(x, weight, cols)];
    let u: Tensor | undefined;
    if (lora !== undefined) {
      const [rank] = rowsOf(lora.a, "lora_A");
      expectShape(lora.a, [rank, cols], "lora_A");
      expectShape(lora.b, [width, rank], "lora_B");
      u = empty(backend, [rows, rank], "f32");
      const { a, scale, dropout = NO_DROPOUT } = lora;
      kernels.loraDown({ out: u, x, a, rows, cols, rank, scale, compute: rounding, ...dropout });
      terms.push(times(u, lora.b, rank));
    }
    down.push(u);
    return product(empty(backend, [rows, width], dtype ?? x.dtype), rows, width, terms, bias);
  });

  const wanted = x.requiresGrad;
  const trained = projections.flatMap(({ weight, bias, lora }) => [weight, bias, lora?.a, lora?.b]);
  const used = projections.flatMap(({ weight, lora }, index) => [
    weight,
    ...(lora === undefined ? [] : [down[index] as Tensor, lora.a, lora.b]),
  ]);
  const { dtype, shape } = x;
  // The input is read again for the gradients of weights and factors only.
  const needsInput = projections.some(({ weight, lora }) => lora !== undefined || weight.requiresGrad);
  record("linear", [x, ...trained], outputs, needsInput ? [x, ...used] : used, (gradients, saved) => {
    const rest = [...saved];
    const next = () => rest.shift() as Tensor;
    const x = needsInput ? next() : undefined;
    const terms: MatMulTerm[] = []; // of dx
    projections.forEach(({ weight: parameter, fanInFanOut, bias, lora }, index) => {
      const weight = next();
      const [u, a, b] = lora === undefined ? [] : [next(), next(), next()];
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
      if (lora === undefined || u === undefined || a === undefined || b === undefined) return;
      const { dropout, scale } = lora;
      const rank = a.shape[0] as number;
      const du = empty(backend, [rows, rank], "f32");
      kernels.loraUpBackward({ du, dB: gradOf(lora.b), dy, u, b, rows, cols: width, rank, scale, compute: rounding });
      const dA = gradOf(lora.a);
      const mask = wanted && dropout !== undefined ? empty(backend, [rows, Math.ceil(cols / 32)], "i32") : undefined;
      if (x !== undefined && (dA !== undefined || mask !== undefined))
        kernels.loraDownBackward({
          ...{ dA, mask, du, x, rows, cols, rank, compute: rounding },
          ...(dropout ?? NO_DROPOUT),
        });
      if (wanted) terms.push({ ...through(du, a, rank, cols, keptScale(dropout?.p ?? 0)), mask });
    });
    return [wanted && terms.length > 0 ? product(empty(backend, shape, dtype), rows, cols, terms) : undefined];
  });
  return outputs;
});

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
