export { openBase, type Base, type BaseOptions } from "./base.js";
export { checkTokenizer } from "./check-tokenizer.js";
export { families } from "./families.js";
export type { Family } from "./family.js";
export { LmHead, ScoreHead } from "./head.js";
export { initCausalLm } from "./init.js";
export { mergeAdapter, type MergeOptions } from "./merge.js";
export {
  causalLm,
  loadCausalLm,
  scorer,
  tokenLoss,
  trainedLm,
  type CausalLm,
  type Role,
  type RunOptions,
} from "./role.js";
export { WholeWeights } from "./whole-weights.js";
