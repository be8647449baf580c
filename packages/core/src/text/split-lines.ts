/** Files as chunks of bytes and as lines. */
import { createReadStream } from "node:fs";
import { InputError, readError } from "@medgpt/artifacts";
import type { Bytes } from "./decode-utf8.js";
import { checkIsText } from "./file-kind.js";

export interface Line {
  /** Without its line break, and without a byte order mark. */
  readonly bytes: Bytes;
  /** Whether a byte order mark was before it. */
  readonly marked: boolean;
  /** Whether it had a line break. */
  readonly ended: boolean;
  /** In the file, in bytes. */
  readonly offset: number;
}

/** A line is held as one string, which cannot be longer than 512 MiB; no document comes near. */
const MAX_LINE_BYTES = 256 << 20;
const LF = 10;
const CR = 13;

/**
 * Lines from the first byte of one on. "\r" ends a line only in plain text, not in JSON lines.
 * @throws InputError where the file cannot be read
 */
export async function* splitLines(
  file: string,
  json: boolean,
  start = 0,
  onBytes: (count: number) => void = () => undefined,
): AsyncGenerator<Line> {
  let pieces: Bytes[] = []; // of a line that began in an earlier chunk
  let lineStart = start;
  let chunkStart = start;
  let held = 0; // their bytes
  let afterReturn = false; // a "\n" at the start of this chunk belongs to a "\r" at the end of the last
  const line = (last: Bytes[], ended: boolean): Line => {
    const bytes = pieces.length === 0 && last.length === 1 ? last[0]! : Buffer.concat([...pieces, ...last]);
    const marked = lineStart === 0 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
    return { bytes: marked ? bytes.subarray(3) : bytes, marked, ended, offset: lineStart };
  };
  for await (const chunk of readChunks(file, start, onBytes)) {
    let begin = 0;
    if (afterReturn && chunk[0] === LF) {
      begin = 1;
      lineStart++;
    }
    afterReturn = false;
    // Both searches are remembered, so that a chunk without "\r" is searched for it once.
    let nextFeed = chunk.indexOf(LF, begin);
    let nextReturn = json ? -1 : chunk.indexOf(CR, begin);
    while (nextFeed !== -1 || nextReturn !== -1) {
      const isReturn = nextReturn !== -1 && (nextFeed === -1 || nextReturn < nextFeed);
      const end = isReturn ? nextReturn : nextFeed;
      yield line([chunk.subarray(begin, end)], true);
      pieces = [];
      held = 0;
      begin = end + 1;
      if (isReturn && begin === chunk.length) afterReturn = true;
      else if (isReturn && chunk[begin] === LF) begin++;
      lineStart = chunkStart + begin;
      if (nextFeed !== -1 && nextFeed < begin) nextFeed = chunk.indexOf(LF, begin);
      if (nextReturn !== -1 && nextReturn < begin) nextReturn = chunk.indexOf(CR, begin);
    }
    if (begin < chunk.length) pieces.push(chunk.subarray(begin));
    chunkStart += chunk.length;
    held += chunk.length - begin;
    if (held > MAX_LINE_BYTES)
      throw new InputError(`cannot be read (a line is longer than ${MAX_LINE_BYTES} bytes: split its text)`, {
        place: file,
      });
  }
  if (pieces.length > 0) yield line([], false);
}

/**
 * The bytes of a file of text, a mebibyte at a time.
 * @throws InputError where it cannot be read, or is no text (see checkIsText)
 */
export async function* readChunks(
  file: string,
  start = 0,
  onBytes: (count: number) => void = () => undefined,
): AsyncGenerator<Bytes> {
  const stream = createReadStream(file, { highWaterMark: 1 << 20, start });
  try {
    let begun = start > 0;
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      if (!begun) checkIsText(chunk, file);
      begun = true;
      onBytes(chunk.length);
      yield chunk;
    }
  } catch (cause) {
    throw readError(cause, file);
  } finally {
    stream.destroy();
  }
}
