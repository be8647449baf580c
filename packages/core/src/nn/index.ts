export { decoderForward, type Batch, type DecoderOptions } from "./decoder.js";
export { loraScale, resolveTargets, seededRandom, suffixes, type LoraConfig, type LoraTargets } from "./lora.js";
export { createArena, decays, disposeArena, type ParameterArena, type ParameterSpec } from "./parameters.js";
export type { DropoutDraw } from "../ops/index.js";
