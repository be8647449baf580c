/** The rows of a chunk, as bytes and as objects. */
import { parseJsonLine, refuseHalfPair, type DataRow } from "@medgpt/core/data";
import { rowPlace, type Chunk } from "./chunk.js";

const LF = 10;

/**
 * Calls `visit` with the bytes of every line that is not blank, its line break included, and its number in the chunk,
 * from 0.
 */
export function eachLine(bytes: Uint8Array, visit: (begin: number, end: number, line: number) => void): void {
  let begin = 0;
  for (let line = 0; begin < bytes.length; line++) {
    const feed = bytes.indexOf(LF, begin);
    const end = feed === -1 ? bytes.length : feed + 1;
    if (!isBlank(bytes, begin, end)) visit(begin, end, line);
    begin = end;
  }
}

/** As `trim` sees it, without making a string of each line. */
function isBlank(bytes: Uint8Array, begin: number, end: number): boolean {
  let at = begin;
  while (at < end && (bytes[at] === 0x20 || (bytes[at]! >= 0x09 && bytes[at]! <= 0x0d))) at++;
  return at === end || (bytes[at]! >= 0x80 && Buffer.from(bytes.subarray(at, end)).toString().trim() === "");
}

export interface ChunkRow {
  readonly row: DataRow;
  /** Of its line in the chunk's bytes, line break included. */
  readonly begin: number;
  readonly end: number;
  /** In the file, from 1; of .parquet the row. */
  readonly line: number;
  /** file:line, or file:row N, for an error. */
  readonly place: string;
}

/** @throws InputError at file:line:column for a line that is not a JSON object or not UTF-8 */
export function eachRow(chunk: Chunk, visit: (row: ChunkRow) => void): void {
  const { file, bytes, lines } = chunk;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  eachLine(bytes, (begin, end, index) => {
    const line = lines?.[index] ?? chunk.line + index;
    const row = parseJsonLine(buffer.subarray(begin, bytes[end - 1] === LF ? end - 1 : end), file, line, {
      onHalfPair: refuseHalfPair,
    })!;
    visit({ row, begin, end, line, place: rowPlace(file, line) });
  });
}

/** A line of a chunk with a line break, which the last line of a file may lack. */
export function wholeLine(bytes: Uint8Array, begin: number, end: number): Uint8Array {
  const line = bytes.subarray(begin, end);
  return line.at(-1) === LF ? line : Buffer.concat([line, Uint8Array.of(LF)]);
}
