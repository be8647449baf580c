export { chooseBackend, type Backend } from "./backends/index.js";
export {
  causalLm,
  loadCausalLm,
  mergeAdapter,
  openBase,
  scorer,
  tokenLoss,
  WholeWeights,
  type Base,
  type BaseOptions,
  type CausalLm,
  type MergeOptions,
  type Role,
} from "./models/index.js";
export type { RunContext, RunEvent } from "./run/index.js";
