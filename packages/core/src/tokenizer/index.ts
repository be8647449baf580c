export { loadTokenizer, TOKENIZER_FILES, type LoadTokenizerOptions } from "./load-tokenizer.js";
export { saveTokenizer } from "./save-tokenizer.js";
export type { DecodeOptions, EncodeOptions, Tokenizer } from "./tokenizer.js";
