import { fingerprint, foldText } from "../near-duplicates/index.js";
import { eachRow, wholeLine } from "../parallel/chunk-rows.js";
import type { Task } from "../parallel/task.js";
import { comparedText, contentReader, type ComparedBy, type UsualFormat } from "../row-content.js";

export interface SplitTaskOptions {
  readonly from: string | null;
  readonly usual?: UsualFormat | null;
  readonly by: ComparedBy;
  readonly validation: number;
  readonly test: number;
  readonly seed: number;
}

/** The order in which splits take their shares of [0, 1): the rest is train's, so a larger share takes rows from it alone. */
export const SPLITS = ["validation", "test", "train"] as const;

/** For each of SPLITS, its lines of the chunk. */
export interface SplitChunk {
  readonly lines: readonly Uint8Array<ArrayBuffer>[];
  readonly rows: readonly number[];
  readonly bytesRead: number;
  readonly formats: ReadonlyMap<string, string>;
}

/** Divides the rows of a chunk. Where a row goes depends on its text, the seed and the shares, and on no other row. */
export const splitTask: Task<SplitTaskOptions, SplitChunk> = async ({ from, usual, by, validation, test, seed }) => {
  const read = contentReader(from, usual);
  return (chunk) => {
    const pieces: Uint8Array[][] = SPLITS.map(() => []);
    const rows = SPLITS.map(() => 0);
    const formats = new Map<string, string>();
    eachRow(chunk, ({ row, begin, end, place }) => {
      const content = read(row, place);
      if (!formats.has(content.format)) formats.set(content.format, place);
      const text = comparedText(content, by);
      const share = hashShare(by === "prompt" ? foldText(text) : text, seed);
      const split = share < validation ? 0 : share < validation + test ? 1 : 2;
      rows[split]!++;
      pieces[split]!.push(wholeLine(chunk.bytes, begin, end));
    });
    const lines = pieces.map((each) => new Uint8Array(Buffer.concat(each)));
    return { lines, rows, bytesRead: chunk.bytes.length, formats };
  };
};

/** A number in [0, 1) that follows from a text and a seed, evenly distributed over texts. */
export function hashShare(text: string, seed: number): number {
  const [high, low] = fingerprint(`${seed}\n${text}`);
  return (high * 2 ** 21 + (low >>> 11)) / 2 ** 53;
}
