import { record } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";

/** factor * sum of all elements, shape (1), f32. With factor = 1 / count it is the mean. */
export const sum = op("sum", (x: Tensor, factor: number = 1): Tensor => {
  const out = empty(x.backend, [1], "f32");
  x.backend.kernels.sum({ out, x, count: x.size, factor });
  const { shape, dtype, size } = x;
  record("sum", { inputs: [x] }, [out], [], ([gradient]) => {
    if (gradient === undefined) return [];
    const dx = empty(gradient.backend, shape, dtype);
    gradient.backend.kernels.scale({ out: dx, x: gradient, xStride: 0, scalar: undefined, count: size, factor });
    return [dx];
  });
  return out;
});
