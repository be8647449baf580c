import { gradEnabled, gradOf, record } from "../tensor/autograd.js";
import type { DType } from "../numeric/dtype.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape, rowsOf, ShapeError } from "./rows.js";

/**
 * x / sqrt(mean(x^2) + eps) * (weight + offset) over the last axis (Zhang and Sennrich 2019, arXiv:1910.07467), or over
 * each part of it that is as long as the weight: heads are normed that way.
 * @param x (tokens, hidden), weight (hidden), or (dim) where hidden is heads * dim
 * @param offset 1 for Gemma, whose weights are stored less one
 * @returns the normed tensor, and x for the residual connection: both gradients of x are then one sum in one pass
 */
export const rmsNorm = op(
  "rmsNorm",
  (
    x: Tensor,
    weight: Tensor,
    { eps, offset = 0, dtype = x.dtype }: { eps: number; offset?: number; dtype?: DType },
  ): [normed: Tensor, x: Tensor] => {
    const [tokens, hidden] = rowsOf(x);
    const cols = weight.size;
    expectShape(weight, [cols], "weight");
    if (hidden % cols !== 0)
      throw new ShapeError(`${hidden} columns are not made of parts as long as weight (${cols})`);
    const rows = (tokens * hidden) / cols;
    const compute = (x: Tensor, weight: Tensor): { out: Tensor; rstd: Tensor } => {
      const out = empty(x.backend, x.shape, dtype);
      const rstd = empty(x.backend, [rows], "f32");
      x.backend.kernels.rmsNorm({ out, rstd, x, weight, rows, cols, eps, offset });
      return { out, rstd };
    };
    const { out, rstd } = compute(x, weight);
    const kept = rounded(x, dtype);
    out.recomputable([kept, weight], ([x, weight]) => compute(x as Tensor, weight as Tensor).out);
    const [wanted, parameter] = [x.requiresGrad && x.dtype, weight];
    const residual = x.view();
    record(
      "rmsNorm",
      { inputs: [x], weights: { weight } },
      [out, residual],
      [kept, weight, rstd],
      ([dOut, base], saved) => {
        const [x, weight, rstd] = saved as [Tensor, Tensor, Tensor];
        if (dOut === undefined) return [base?.view()];
        const dx = wanted ? empty(x.backend, x.shape, wanted) : undefined;
        const gradients = { dx, base, dWeight: gradOf(parameter) };
        x.backend.kernels.rmsNormBackward({ ...gradients, dOut, x, weight, rstd, rows, cols, offset });
        return [dx];
      },
    );
    return [out, residual];
  },
);

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, biased variance.
 * @param x (tokens, hidden), weight and bias (hidden)
 * @returns as rmsNorm
 */
export const layerNorm = op(
  "layerNorm",
  (
    x: Tensor,
    weight: Tensor,
    bias: Tensor | undefined,
    { eps, dtype = x.dtype }: { eps: number; dtype?: DType },
  ): [normed: Tensor, x: Tensor] => {
    const [rows, cols] = rowsOf(x);
    expectShape(weight, [cols], "weight");
    expectShape(bias, [cols], "bias");
    const compute = (x: Tensor, weight: Tensor, bias?: Tensor): { out: Tensor; mean: Tensor; rstd: Tensor } => {
      const out = empty(x.backend, x.shape, dtype);
      const mean = empty(x.backend, [rows], "f32");
      const rstd = empty(x.backend, [rows], "f32");
      x.backend.kernels.layerNorm({ out, mean, rstd, x, weight, bias, rows, cols, eps });
      return { out, mean, rstd };
    };
    const { out, mean, rstd } = compute(x, weight, bias);
    const kept = rounded(x, dtype);
    out.recomputable(
      bias === undefined ? [kept, weight] : [kept, weight, bias],
      ([x, weight, bias]) => compute(x as Tensor, weight as Tensor, bias).out,
    );
    const [wanted, parameter] = [x.requiresGrad && x.dtype, weight];
    const residual = x.view();
    const operands = { inputs: [x], weights: { weight, bias } };
    record("layerNorm", operands, [out, residual], [kept, weight, mean, rstd], ([dOut, base], saved) => {
      const [x, weight, mean, rstd] = saved as [Tensor, Tensor, Tensor, Tensor];
      if (dOut === undefined) return [base?.view()];
      const dx = wanted ? empty(x.backend, x.shape, wanted) : undefined;
      const gradients = { dx, base, dWeight: gradOf(parameter), dBias: gradOf(bias) };
      x.backend.kernels.layerNormBackward({ ...gradients, dOut, x, weight, mean, rstd, rows, cols });
      return [dx];
    });
    return [out, residual];
  },
);

/** What is kept of a norm's input for a backward pass: the residual stream is f32 while alive, and kept in the output's dtype. */
function rounded(x: Tensor, dtype: DType): Tensor {
  if (!gradEnabled() || x.dtype === dtype || dtype === "f32") return x;
  const out = empty(x.backend, x.shape, dtype);
  x.backend.kernels.copy({ out, x, count: x.size });
  return out;
}
