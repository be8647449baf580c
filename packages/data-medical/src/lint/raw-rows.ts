/**
 * Rows as they stand in their files, bad ones included: what other readers refuse is what is looked for here. Memory is
 * bounded by the longest row.
 */
import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { extname } from "node:path";
import { InputError } from "@medgpt/artifacts";

/** A row, or a blank line, whose `raw` is only space. */
export interface RawRow {
  readonly raw: string;
  readonly plain: boolean;
  /** From 1; the column counts characters. */
  readonly line: number;
  readonly column: number;
  /** Offset in `raw` of the first byte that is not UTF-8. */
  readonly badByte: number | undefined;
  /** The row as it is, where that is no UTF-8. */
  readonly bytes?: Buffer;
}

/** A line is held as one string; no row comes near. */
const MAX_LINE_BYTES = 256 << 20;

const LF = 0x0a;

/** The lines of a .txt or .jsonl file without "\n". A "\r" before it is kept, as it is to be found. */
export async function* readLines(file: string, onBytes: (count: number) => void): AsyncGenerator<RawRow> {
  const plain = extname(file) === ".txt";
  let pieces: Buffer[] = [];
  let held = 0;
  let line = 1;
  const rowOf = (bytes: Buffer): RawRow => ({ ...decode(bytes), plain, line: line++, column: 1 });
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      onBytes(chunk.length);
      let begin = 0;
      for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, begin)) {
        const tail = chunk.subarray(begin, end);
        yield rowOf(pieces.length === 0 ? tail : Buffer.concat([...pieces, tail]));
        [pieces, held, begin] = [[], 0, end + 1];
      }
      pieces.push(chunk.subarray(begin));
      held += chunk.length - begin;
      if (held > MAX_LINE_BYTES)
        throw new InputError(`a line is longer than ${MAX_LINE_BYTES} bytes: split its text`, {
          place: `${file}:${line}:1`,
        });
    }
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(`cannot be read (${(cause as Error).message})`, { place: file, cause });
  } finally {
    stream.destroy();
  }
  if (held > 0) yield rowOf(Buffer.concat(pieces));
}

function decode(bytes: Buffer): Pick<RawRow, "raw" | "badByte" | "bytes"> {
  const raw = bytes.toString("utf8");
  if (isUtf8(bytes)) return { raw, badByte: undefined };
  const again = Buffer.from(raw);
  let same = 0;
  while (again[same] === bytes[same]) same++;
  const before = again.toString("utf8", 0, same);
  // The bytes may agree with the first of the three that U+FFFD has.
  return { raw, bytes, badByte: Buffer.byteLength(before) === same ? before.length : before.length - 1 };
}
