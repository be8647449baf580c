export { decodeUtf8, snippet, type Bytes } from "./decode-utf8.js";
export { checkIsText } from "./file-kind.js";
export { readChunks, splitLines } from "./split-lines.js";
