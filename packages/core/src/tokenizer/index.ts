export { ChatTemplate, loadChatTemplate, type ChatMessage } from "./chat-template.js";
export { loadTokenizer } from "./load-tokenizer.js";
export { TextDecoderStreamer } from "./text-decoder-streamer.js";
export type { Tokenizer } from "./tokenizer.js";
