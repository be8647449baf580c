import type { MatMulTerm } from "../backends/kernels.js";
import { gradOf, record } from "../tensor/autograd.js";
import type { DType } from "../tensor/dtype.js";
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
  const product = (
    out: Tensor,
    m: number,
    n: number,
    terms: readonly MatMulTerm[],
    bias?: Tensor,
    accumulate = 0,
  ): Tensor => {
    kernels.matMul({ out, ldc: n, m, n, bias, accumulate, compute: compute === "bf16" ? 1 : 0, terms });
    return out;
  };
  const down: (Tensor | undefined)[] = []; // scale * dropout(x) A^T, (tokens, rank)
  const outputs = projections.map(({ weight, bias, lora, dtype }) => {
    const [width] = rowsOf(weight, "weight");
    expectShape(weight, [width, cols], "weight");
    expectShape(bias, [width], "bias");
    const terms = [times(x, weight, cols)];
    let u: Tensor | undefined;
    if (lora !== undefined) {
      const [rank] = rowsOf(lora.a, "lora_A");
      expectShape(lora.a, [rank, cols], "lora_A");
      expectShape(lora.b, [width, rank], "lora_B");
      u = empty(backend, [rows, rank], "f32");
      withDropout(x, lora, (x) => product(u as Tensor, rows, rank, [times(x, lora.a, cols, lora.scale)]));
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
    const masked: { du: Tensor; a: Tensor; dropout: DropoutDraw }[] = []; // parts of dx that pass through a dropout mask
    projections.forEach(({ weight: parameter, bias, lora }, index) => {
      const weight = next();
      const [u, a, b] = lora === undefined ? [] : [next(), next(), next()];
      const dy = gradients[index];
      if (dy === undefined) return;
      const width = weight.shape[0] as number;
      const dWeight = gradOf(parameter);
      const dBias = gradOf(bias);
      if (dWeight !== undefined && x !== undefined)
        product(dWeight, width, cols, [transposed(dy, width, x, cols, rows)], undefined, 1);
      if (dBias !== undefined) kernels.sumRows({ out: dBias, x: dy, rows, cols: width });
      if (wanted) terms.push(through(dy, weight, width, cols));
      if (lora === undefined || x === undefined || u === undefined || a === undefined || b === undefined) return;
      const rank = a.shape[0] as number;
      const [dA, dB] = [gradOf(lora.a), gradOf(lora.b)];
      if (dB !== undefined) product(dB, width, rank, [transposed(dy, width, u, rank, rows)], undefined, 1);
      const du = product(empty(backend, [rows, rank], "f32"), rows, rank, [through(dy, b, width, rank, lora.scale)]);
      if (dA !== undefined)
        withDropout(x, lora, (x) => product(dA, rank, cols, [transposed(du, rank, x, cols, rows)], undefined, 1));
      if (!wanted) return;
      if (lora.dropout === undefined) terms.push(through(du, a, rank, cols));
      else masked.push({ du, a, dropout: lora.dropout });
    });
    if (!wanted || terms.length === 0) return [];
    const exact = masked.length === 0 ? dtype : "f32";
    let dx = product(empty(backend, shape, exact), rows, cols, terms);
    for (const { du, a, dropout } of masked) {
      const part = product(empty(backend, shape, "f32"), rows, cols, [through(du, a, a.shape[0] as number, cols)]);
      kernels.dropout({ out: part, x: part, rows, cols, ...dropout });
      kernels.add({ out: dx, a: dx, b: part, count: dx.size, alpha: 1, beta: 1 });
      part.dispose();
    }
    if (exact !== dtype) {
      const rounded = empty(backend, shape, dtype);
      kernels.copy({ out: rounded, x: dx, count: dx.size });
      dx = rounded;
    }
    return [dx];
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

/** Calls `use` with the adapter's input: x, or x under this projection's mask, which is freed afterwards. */
function withDropout(x: Tensor, { dropout }: LoraFactors, use: (input: Tensor) => void): void {
  if (dropout === undefined) return use(x);
  const [rows, cols] = rowsOf(x);
  const out = empty(x.backend, x.shape, x.dtype);
  x.backend.kernels.dropout({ out, x, rows, cols, ...dropout });
  use(out);
  out.dispose();
}
