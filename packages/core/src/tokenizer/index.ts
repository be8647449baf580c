export { ChatTemplate, loadChatTemplate, renderDialog, type ChatMessage, type RenderOptions } from "./chat-template.js";
export { PROMPT_TEMPLATES, type PromptTemplate, type TemplateName } from "./prompt-templates.js";
export { loadTokenizer, TOKENIZER_FILES, type LoadTokenizerOptions } from "./load-tokenizer.js";
export { saveTokenizer } from "./save-tokenizer.js";
export { TextDecoderStreamer } from "./text-decoder-streamer.js";
export type { DecodeOptions, EncodeOptions, Tokenizer } from "./tokenizer.js";
