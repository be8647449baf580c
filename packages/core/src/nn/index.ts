export { Adapter, freshAdapter, openAdapter } from "./adapter.js";
export { decoderForward, type DecoderOptions } from "./decoder.js";
export { createArena, decays, disposeArena, type ParameterArena, type ParameterSpec } from "./parameters.js";
export type { DropoutDraw } from "../ops/index.js";
