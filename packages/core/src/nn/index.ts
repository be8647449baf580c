export { Adapter, freshAdapter, openAdapter } from "./adapter.js";
export { createArena, disposeArena, type ParameterArena, type ParameterSpec } from "./parameters.js";
