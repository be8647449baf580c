import { gradOf, record } from "../tensor/autograd.js";
import type { DType } from "../tensor/dtype.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape, rowsOf } from "./rows.js";

/**
 * x / sqrt(mean(x^2) + eps) * (weight + offset) over the last axis (Zhang and Sennrich 2019, arXiv:1910.07467).
 * @param x (tokens, hidden), weight (hidden)
 * @param offset 1 for Gemma, whose weights are stored less one
 */
export const rmsNorm = op(
  "rmsNorm",
  (
    x: Tensor,
    weight: Tensor,
    { eps, offset = 0, dtype = x.dtype }: { eps: number; offset?: number; dtype?: DType },
  ): Tensor => {
    const [rows, cols] = rowsOf(x);
    expectShape(weight, [cols], "weight");
    const out = empty(x.backend, x.shape, dtype);
    const rstd = empty(x.backend, [rows], "f32");
    x.backend.kernels.rmsNorm({ out, rstd, x, weight, rows, cols, eps, offset });
    const [wanted, parameter] = [x.requiresGrad, weight];
    record("rmsNorm", [x, weight], [out], [x, weight, rstd], ([dOut], saved) => {
      const [x, weight, rstd] = saved as [Tensor, Tensor, Tensor];
      if (dOut === undefined) return [];
      const dx = wanted ? empty(x.backend, x.shape, x.dtype) : undefined;
      x.backend.kernels.rmsNormBackward({ dx, dWeight: gradOf(parameter), dOut, x, weight, rstd, rows, cols, offset });
      return [dx];
    });
    return out;
  },
);

/**
 * (x - mean) / sqrt(variance + eps) * weight + bias over the last axis, biased variance.
 * @param x (tokens, hidden), weight and bias (hidden)
 */
export const layerNorm = op(
  "layerNorm",
  (
    x: Tensor,
    weight: Tensor,
    bias: Tensor | undefined,
    { eps, dtype = x.dtype }: { eps: number; dtype?: DType },
  ): Tensor => {
    const [rows, cols] = rowsOf(x);
    expectShape(weight, [cols], "weight");
    expectShape(bias, [cols], "bias");
    const out = empty(x.backend, x.shape, dtype);
    const mean = empty(x.backend, [rows], "f32");
    const rstd = empty(x.backend, [rows], "f32");
    x.backend.kernels.layerNorm({ out, mean, rstd, x, weight, bias, rows, cols, eps });
    const [wanted, parameter] = [x.requiresGrad, weight];
    record("layerNorm", [x, weight, bias], [out], [x, weight, mean, rstd], ([dOut], saved) => {
      const [x, weight, mean, rstd] = saved as [Tensor, Tensor, Tensor, Tensor];
      if (dOut === undefined) return [];
      const dx = wanted ? empty(x.backend, x.shape, x.dtype) : undefined;
      const gradients = { dx, dWeight: gradOf(parameter), dBias: gradOf(bias) };
      x.backend.kernels.layerNormBackward({ ...gradients, dOut, x, weight, mean, rstd, rows, cols });
      return [dx];
    });
    return out;
  },
);
