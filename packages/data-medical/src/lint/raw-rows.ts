/**
 * Rows as they stand in their files, bad ones included: what other readers refuse is what is looked for here. Memory is
 * bounded by the longest row.
 */
import { isUtf8 } from "node:buffer";
import { extname } from "node:path";
import { splitLines, type Bytes } from "@medgpt/core/text";

/** A row, or a blank line, whose `raw` is only space. */
export interface RawRow {
  readonly raw: string;
  readonly plain: boolean;
  /** From 1; the column counts characters. */
  readonly line: number;
  readonly column: number;
  /** Offset in `raw` of the first byte that is not UTF-8. */
  readonly badByte: number | undefined;
  /** The reason why it is not a row, if `raw` does not show it. */
  readonly fault?: string;
  /** The bytes of the row, if they are not UTF-8. */
  readonly bytes?: Bytes;
}

const BYTE_ORDER_MARK = Buffer.from("\uFEFF");

/**
 * The lines of a .txt or .jsonl file without "\n". A "\r" before it is kept, as it is to be found, and a byte order
 * mark.
 */
export async function* readLines(file: string, onBytes: (count: number) => void): AsyncGenerator<RawRow> {
  const plain = extname(file) === ".txt";
  let line = 1;
  for await (const { bytes, marked } of splitLines(file, true, 0, onBytes))
    yield { ...decode(marked ? Buffer.concat([BYTE_ORDER_MARK, bytes]) : bytes), plain, line: line++, column: 1 };
}

function decode(bytes: Bytes): Pick<RawRow, "raw" | "badByte" | "bytes"> {
  const raw = bytes.toString("utf8");
  if (isUtf8(bytes)) return { raw, badByte: undefined };
  const again = Buffer.from(raw);
  let same = 0;
  while (again[same] === bytes[same]) same++;
  const before = again.toString("utf8", 0, same);
  // The bytes may agree with the first of the three that U+FFFD has.
  return { raw, bytes, badByte: Buffer.byteLength(before) === same ? before.length : before.length - 1 };
}
