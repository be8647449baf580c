import { ACTIVATIONS, type Activation } from "../backends/kernels.js";
import { record } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape } from "./rows.js";

/**
 * act(x), or act(x) * up where `up` is given, as in gated MLPs (Shazeer 2020, arXiv:2002.05202).
 * @param x any shape; up the same
 */
export const activation = op("activation", (x: Tensor, name: Activation, up?: Tensor): Tensor => {
  expectShape(up, x.shape, "up");
  const kind = ACTIVATIONS.indexOf(name);
  const count = x.size;
  const compute = (x: Tensor, up: Tensor | undefined): Tensor => {
    const out = empty(x.backend, x.shape, x.dtype);
    x.backend.kernels.activation({ out, x, up, count, kind });
    return out;
  };
  const out = compute(x, up);
  out.recomputable(up === undefined ? [x] : [x, up], ([x, up]) => compute(x as Tensor, up));
  record("activation", { inputs: [x, up] }, [out], up === undefined ? [x] : [x, up], ([dOut], [x, up]) => {
    if (dOut === undefined || x === undefined) return [];
    const dx = empty(x.backend, x.shape, x.dtype);
    const dUp = up && empty(up.backend, up.shape, up.dtype);
    x.backend.kernels.activationBackward({ dx, dUp, dOut, x, up, count, kind });
    return [dx, dUp];
  });
  return out;
});
