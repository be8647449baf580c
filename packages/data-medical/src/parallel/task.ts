import type { Chunk } from "./chunk.js";

/** Makes ready what a task needs, once a thread, and returns what is done with each chunk. */
export type Task<O, R> = (options: O) => Promise<(chunk: Chunk) => R>;
