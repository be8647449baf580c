export { generate, seedOf, streamTokens } from "./generate.js";
export {
  generationConfigFile,
  readGenerationConfig,
  resolveGenerationConfig,
  type GenerationConfig,
} from "./generation-config.js";
