export { CausalLm, loadCausalLm, type LoadOptions, type RunOptions } from "./causal-lm.js";
export { families } from "./families.js";
export type { Family } from "./family.js";
export { saveAdapter, saveCausalLm } from "./save.js";
export { initCausalLm } from "./init.js";
export { mergeAdapter, type MergeOptions, type WeightDType } from "./merge.js";
