import type { Task } from "./parallel/task.js";
import { eachRow } from "./parallel/chunk-rows.js";
import { contentReader, type UsualFormat } from "./row-content.js";

export interface CheckTaskOptions {
  readonly from: string | null;
  readonly usual?: UsualFormat | null;
}

export interface CheckedChunk {
  readonly fileIndex: number;
  readonly bytesRead: number;
  readonly rows: number;
  /** The formats of the rows, each with the place of its first row. */
  readonly formats: ReadonlyMap<string, string>;
}

/** Counts rows and says of which formats they are. */
export const checkTask: Task<CheckTaskOptions, CheckedChunk> = async ({ from, usual }) => {
  const read = contentReader(from, usual);
  return (chunk) => {
    let rows = 0;
    const formats = new Map<string, string>();
    eachRow(chunk, ({ row, place }) => {
      rows++;
      const { format } = read(row, place);
      if (!formats.has(format)) formats.set(format, place);
    });
    return { fileIndex: chunk.fileIndex, bytesRead: chunk.bytes.length, rows, formats };
  };
};
