export { CausalLm, loadCausalLm, type LoadOptions, type RunOptions } from "./causal-lm.js";
export { families } from "./families.js";
export type { Family } from "./family.js";
export { saveAdapter, saveCausalLm } from "./save.js";
export { initCausalLm } from "./init.js";
export { mergeAdapter, type MergeOptions } from "./merge.js";
export type { WeightDType } from "./merged-weights.js";
export { checkTokenizer } from "./check-tokenizer.js";
export { otherBase } from "./adapter-base.js";
