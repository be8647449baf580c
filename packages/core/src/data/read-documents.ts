/**
 * Streams the documents of text files: a line of .txt, or the "text" of a line of .jsonl. Memory is bounded by the longest
 * line. Line breaks are universal in .txt ("\r\n" and "\r" count as "\n"), as in Python's text mode.
 */
import { createReadStream } from "node:fs";
import { isUtf8 } from "node:buffer";
import { InputError } from "@medgpt/artifacts";
import { scanJson } from "./scan-json.js";

export interface TextDocument {
  readonly text: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface DocumentReader extends AsyncIterable<TextDocument> {
  /** So far: lines without text, which are no documents. */
  readonly skippedBlank: number;
  /** So far, over all files. */
  readonly bytesRead: number;
}

export interface ReadDocumentsOptions {
  /** Whether a .txt document keeps the "\n" at its end (the last line of a file may have none). */
  readonly keepLinebreaks: boolean;
}

/**
 * @throws InputError (from the iteration) at file:line:column for bytes that are not UTF-8, malformed JSON, and a missing
 * or non-string "text".
 */
export function readDocuments(files: readonly string[], { keepLinebreaks }: ReadDocumentsOptions): DocumentReader {
  const reader = {
    skippedBlank: 0,
    bytesRead: 0,
    async *[Symbol.asyncIterator](): AsyncGenerator<TextDocument> {
      for (const file of files) {
        const json = file.endsWith(".jsonl");
        const lines = splitLines(file, json, (bytes) => (reader.bytesRead += bytes));
        let line = 0;
        for await (const { bytes, ended } of lines) {
          line++;
          const content = line === 1 ? withoutByteOrderMark(bytes) : bytes;
          const text = json ? jsonText(content, file, line) : decode(content, file, line);
          if (text === "") reader.skippedBlank++;
          else yield { text: !json && keepLinebreaks && ended ? `${text}\n` : text, file, line };
        }
      }
    },
  };
  return reader;
}

const LF = 10;
const CR = 13;

/** Lines without their line break; `ended` tells whether they had one. "\r" ends a line only in plain text. */
async function* splitLines(
  file: string,
  json: boolean,
  onBytes: (count: number) => void,
): AsyncGenerator<{ bytes: Buffer; ended: boolean }> {
  let pieces: Buffer[] = []; // of a line that began in an earlier chunk
  let afterReturn = false; // a "\n" at the start of this chunk belongs to a "\r" at the end of the last
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      onBytes(chunk.length);
      let begin = 0;
      if (afterReturn && chunk[0] === LF) begin = 1;
      afterReturn = false;
      // Both searches are remembered, so that a chunk without "\r" is searched for it once.
      let nextFeed = chunk.indexOf(LF, begin);
      let nextReturn = json ? -1 : chunk.indexOf(CR, begin);
      while (nextFeed !== -1 || nextReturn !== -1) {
        const isReturn = nextReturn !== -1 && (nextFeed === -1 || nextReturn < nextFeed);
        const end = isReturn ? nextReturn : nextFeed;
        const tail = chunk.subarray(begin, end);
        yield { bytes: pieces.length === 0 ? tail : Buffer.concat([...pieces, tail]), ended: true };
        pieces = [];
        begin = end + 1;
        if (isReturn && begin === chunk.length) afterReturn = true;
        else if (isReturn && chunk[begin] === LF) begin++;
        if (nextFeed !== -1 && nextFeed < begin) nextFeed = chunk.indexOf(LF, begin);
        if (nextReturn !== -1 && nextReturn < begin) nextReturn = chunk.indexOf(CR, begin);
      }
      if (begin < chunk.length) pieces.push(chunk.subarray(begin));
    }
  } catch (cause) {
    throw new InputError(`cannot be read (${(cause as Error).message})`, { place: file, cause });
  } finally {
    stream.destroy();
  }
  if (pieces.length > 0) yield { bytes: Buffer.concat(pieces), ended: false };
}

function withoutByteOrderMark(bytes: Buffer): Buffer {
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? bytes.subarray(3) : bytes;
}

function decode(bytes: Buffer, file: string, line: number): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  // Byte by byte up to the first bad sequence, whose place is what the user needs to find it.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let good = "";
  try {
    for (const byte of bytes) good += decoder.decode(Uint8Array.of(byte), { stream: true });
  } catch {
    // `good` is what came before.
  }
  const byte = bytes[Buffer.byteLength(good)]!.toString(16).padStart(2, "0");
  throw new InputError(
    `expected UTF-8, got the byte 0x${byte} after "${snippet(good.slice(-20))}"; save the file as UTF-8`,
    {
      place: `${file}:${line}:${[...good].length + 1}`,
    },
  );
}

/** The "text" of a line of .jsonl, "" for a blank line. */
function jsonText(bytes: Buffer, file: string, line: number): string {
  const source = decode(bytes, file, line);
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (cause) {
    if (source.trim() === "") return "";
    const at = scanJson(source).errorAt ?? source.length;
    throw new InputError(
      `expected a JSON object with a string "text", got ${snippet(source.slice(at)) || "the end of the line"} here; write each object on one line of its own`,
      {
        place: `${file}:${line}:${[...source.slice(0, at)].length + 1}`,
        cause,
      },
    );
  }
  const text = typeof value === "object" && value !== null ? (value as Record<string, unknown>)["text"] : undefined;
  if (typeof text === "string") return text;
  const got = text === undefined ? snippet(source.trim()) : `"text": ${snippet(JSON.stringify(text))}`;
  throw new InputError(
    `expected a JSON object with a string "text", got ${got}; name the field "text" or convert the file`,
    {
      place: `${file}:${line}:1`,
    },
  );
}

/** The beginning of a text on one line, without control characters. */
function snippet(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
