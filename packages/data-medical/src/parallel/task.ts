import type { Chunk } from "./chunk.js";

/** Prepares a task once in each thread, and returns the function that is called with each chunk. */
export type Task<O, R> = (options: O) => Promise<(chunk: Chunk) => R>;
