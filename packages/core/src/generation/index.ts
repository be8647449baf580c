export {
  generate,
  seedOf,
  streamTokens,
  type GenerateOptions,
  type GeneratedText,
  type GeneratedToken,
} from "./generate.js";
export {
  eosIds,
  generationConfig,
  generationConfigFile,
  readGenerationConfig,
  resolveGenerationConfig,
  type GenerationConfig,
  type SettingsSource,
} from "./generation-config.js";
