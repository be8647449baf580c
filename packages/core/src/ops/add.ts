import { record } from "../tensor/autograd.js";
import type { DType } from "../numeric/dtype.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape } from "./rows.js";

/** a + b, both of one shape. The result is f32 where either is, unless `dtype` says otherwise. */
export const add = op("add", (a: Tensor, b: Tensor, dtype: DType = a.dtype === "f32" ? "f32" : b.dtype): Tensor => {
  expectShape(b, a.shape, "b");
  const out = empty(a.backend, a.shape, dtype);
  a.backend.kernels.add({ out, a, b, count: out.size, alpha: 1, beta: 1 });
  const dtypes = [a.dtype, b.dtype] as const;
  record("add", { inputs: [a, b] }, [out], [], ([gradient]) =>
    dtypes.map((wanted) => gradient && cast(gradient, wanted)),
  );
  return out;
});

/** x in another dtype; a plain handle where it has it already. */
function cast(x: Tensor, dtype: DType): Tensor {
  if (x.dtype === dtype) return x.view();
  const out = empty(x.backend, x.shape, dtype);
  x.backend.kernels.copy({ out, x, count: x.size });
  return out;
}
