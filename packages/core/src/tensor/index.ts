export { backward, checkpoint, gradOf, noGrad, record } from "./autograd.js";
export { BYTES, DTYPES, type DType } from "../numeric/dtype.js";
export { keep, op, scope } from "./scope.js";
export { empty, FreedTensorError, mapped, Parameter, tensor, Tensor, zeros, type Shape } from "./tensor.js";
