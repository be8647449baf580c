import { fingerprint, minHash, SIGNATURE_SIZE } from "../near-duplicates/index.js";
import { eachRow } from "../parallel/chunk-rows.js";
import type { Task } from "../parallel/task.js";
import { comparedText, contentReader, type ComparedBy, type UsualFormat } from "../row-content.js";

export interface DedupTaskOptions {
  readonly from: string | null;
  readonly usual?: UsualFormat | null;
  readonly by: ComparedBy;
  /** Whether signatures are made. */
  readonly near: boolean;
  readonly seed: number;
}

/** The rows of a chunk with the values that are compared. Arrays have one element a row, unless they say otherwise. */
export interface ComparableChunk {
  readonly fileIndex: number;
  readonly bytesRead: number;
  readonly bytes: Uint8Array;
  /** In `bytes`. */
  readonly begins: Uint32Array;
  readonly ends: Uint32Array;
  /** In the file, from 1. */
  readonly lines: Uint32Array;
  /** Two words a row. */
  readonly fingerprints: Uint32Array;
  /** SIGNATURE_SIZE bytes a row. */
  readonly signatures: Uint8Array;
  /** Whether the row has a signature: 1, or 0. */
  readonly signed: Uint8Array;
  /** Each with the place of its first row. */
  readonly formats: ReadonlyMap<string, string>;
}

/** Makes rows comparable. */
export const dedupTask: Task<DedupTaskOptions, ComparableChunk> = async ({ from, usual, by, near, seed }) => {
  const read = contentReader(from, usual);
  return (chunk) => {
    const begins: number[] = [];
    const ends: number[] = [];
    const lines: number[] = [];
    const words: number[] = [];
    const signed: number[] = [];
    const signatures: (Uint8Array | undefined)[] = [];
    const formats = new Map<string, string>();
    eachRow(chunk, ({ row, begin, end, line, place }) => {
      const content = read(row, place);
      if (!formats.has(content.format)) formats.set(content.format, place);
      const text = comparedText(content, by);
      begins.push(begin);
      ends.push(end);
      lines.push(line);
      words.push(...fingerprint(text));
      const signature = near ? minHash(text, seed) : undefined;
      signed.push(signature === undefined ? 0 : 1);
      signatures.push(signature);
    });
    const all = new Uint8Array(near ? signed.length * SIGNATURE_SIZE : 0);
    signatures.forEach((signature, row) => signature && all.set(signature, row * SIGNATURE_SIZE));
    return {
      fileIndex: chunk.fileIndex,
      bytesRead: chunk.bytes.length,
      bytes: chunk.bytes,
      begins: Uint32Array.from(begins),
      ends: Uint32Array.from(ends),
      lines: Uint32Array.from(lines),
      fingerprints: Uint32Array.from(words),
      signatures: all,
      signed: Uint8Array.from(signed),
      formats,
    };
  };
};
