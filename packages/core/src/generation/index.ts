export { generate, streamTokens, type GenerateOptions, type GeneratedText, type GeneratedToken } from "./generate.js";
export {
  generationConfig,
  readGenerationConfig,
  resolveGenerationConfig,
  type GenerationConfig,
} from "./generation-config.js";
