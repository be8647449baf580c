import { extname } from "node:path";
import { readRows, refuseHalfPair } from "@medgpt/core/data";
import { stringifyJson } from "@medgpt/core/json";
import { cutLines, CHUNK_BYTES, type Chunk } from "./chunk.js";

/** The rows of data files as chunks: JSON lines as they stand, of other files each row as a line of JSON. */
export async function* readChunks(
  files: readonly string[],
  size = CHUNK_BYTES,
  onNote: (text: string) => void = () => undefined,
): AsyncGenerator<Chunk> {
  for (const [fileIndex, file] of files.entries()) {
    if (extname(file) === ".jsonl") yield* cutLines(file, fileIndex, size);
    else yield* writeLines(file, fileIndex, size, onNote);
  }
}

async function* writeLines(
  file: string,
  fileIndex: number,
  size: number,
  onNote: (text: string) => void,
): AsyncGenerator<Chunk> {
  let texts: string[] = [];
  let lines: number[] = [];
  let length = 0;
  const chunk = (): Chunk => {
    const made = { file, fileIndex, line: lines[0]!, lines, bytes: new TextEncoder().encode(texts.join("")) };
    [texts, lines, length] = [[], [], 0];
    return made;
  };
  for await (const { row, line } of readRows([file], { onHalfPair: refuseHalfPair, onNote })) {
    const text = `${stringifyJson(row)}\n`;
    texts.push(text);
    lines.push(line);
    length += text.length;
    if (length >= size) yield chunk();
  }
  if (lines.length > 0) yield chunk();
}
