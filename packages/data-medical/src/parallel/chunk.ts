/** Files cut into pieces of whole lines, which threads work on; a line is looked at by them alone. */
import { open } from "node:fs/promises";
import { InputError, readError } from "@medgpt/artifacts";
import { checkIsText } from "@medgpt/core/text";

/** Rows as lines of JSON. */
export interface Chunk {
  readonly file: string;
  /** Which of the files that are read, from 0. */
  readonly fileIndex: number;
  /** Of the first row, from 1. */
  readonly line: number;
  /** Whole lines, each with its line break but perhaps the file's last. The memory is the chunk's alone. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** For files that are not lines of JSON, where each row begins in them. */
  readonly lines?: readonly number[];
}

/** Where a row is, for messages. */
export function rowPlace(file: string, line: number): string {
  return `${file}:${file.endsWith(".parquet") ? "row " : ""}${line}`;
}

export const CHUNK_BYTES = 1 << 20;

/** A line becomes one string, which cannot be longer than 512 MiB. */
const MAX_LINE_BYTES = 256 << 20;

const LF = 10;

/** The lines of a file of JSON lines; a byte order mark is left out. */
export async function* cutLines(file: string, fileIndex = 0, size = CHUNK_BYTES): AsyncGenerator<Chunk> {
  try {
    const handle = await open(file);
    try {
      let rest: Uint8Array = new Uint8Array(0);
      let line = 1;
      for (let begun = false; ;) {
        // Twice as much for a line that is longer than a chunk, so that its beginning is not copied again and again.
        const bytes = new Uint8Array(rest.length + Math.max(size, rest.length));
        bytes.set(rest);
        const { bytesRead } = await handle.read(bytes, rest.length, bytes.length - rest.length);
        const filled = rest.length + bytesRead;
        if (!begun) checkIsText(bytes.subarray(0, filled), file);
        const end = bytesRead === 0 ? filled : bytes.lastIndexOf(LF, filled - 1) + 1;
        if (filled - end > MAX_LINE_BYTES) {
          throw new InputError(`expected lines of at most ${MAX_LINE_BYTES} bytes; split this one`, {
            place: `${file}:${line}:1`,
          });
        }
        rest = bytes.slice(end, filled);
        if (end > 0) {
          const start = !begun && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
          begun = true;
          const lines = countLines(bytes, end);
          if (end > start) yield { file, fileIndex, line, bytes: bytes.subarray(start, end) };
          line += lines;
        }
        if (bytesRead === 0) return;
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw readError(cause, file);
  }
}

function countLines(bytes: Uint8Array, end: number): number {
  let count = 0;
  for (let at = bytes.indexOf(LF); at !== -1 && at < end; at = bytes.indexOf(LF, at + 1)) count++;
  return count;
}
