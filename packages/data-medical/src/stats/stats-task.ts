import { eachRow } from "../parallel/chunk-rows.js";
import type { Task } from "../parallel/task.js";
import { contentReader } from "../row-content.js";
import { FileStats } from "./file-stats.js";

export interface StatsTaskOptions {
  readonly from: string | null;
  /** The folder of a tokenizer, where tokens are counted. */
  readonly tokenizer_name_or_path: string | null;
}

export interface StatsChunk {
  readonly fileIndex: number;
  readonly bytesRead: number;
  /** A FileStats, without its class when it comes from another thread. */
  readonly stats: FileStats;
}

/** Counts the rows of a chunk. */
export const statsTask: Task<StatsTaskOptions, StatsChunk> = async ({ from, tokenizer_name_or_path: dir }) => {
  const read = contentReader(from);
  const tokenizer = dir === null ? undefined : await (await import("@medgpt/core/tokenizer")).loadTokenizer(dir);
  const countTokens = tokenizer && ((text: string) => tokenizer.encode(text, { addSpecialTokens: false }).length);
  return (chunk) => {
    const stats = new FileStats();
    eachRow(chunk, ({ row, place }) => stats.add(row, read(row, place), countTokens));
    return { fileIndex: chunk.fileIndex, bytesRead: chunk.bytes.length, stats };
  };
};
