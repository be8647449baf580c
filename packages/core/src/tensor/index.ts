export { backward, noGrad } from "./autograd.js";
export { scope } from "./scope.js";
export { Tensor } from "./tensor.js";
