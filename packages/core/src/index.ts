export { chooseBackend, type Backend } from "./backends/index.js";
export { loadCausalLm, mergeAdapter, type CausalLm, type LoadOptions, type MergeOptions } from "./models/index.js";
export type { RunContext, RunEvent } from "./run/index.js";
