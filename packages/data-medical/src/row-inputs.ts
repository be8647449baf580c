/** What the commands that read rows on all cores have in common: their flags, their files, and the reading. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, extname } from "node:path";
import { InputError, readError } from "@medgpt/artifacts";
import { flag, positional, threadsFlag, topic } from "@medgpt/core/config";
import { listTextFiles, ROW_EXTENSIONS } from "@medgpt/core/data";
import { checkFolder } from "@medgpt/core/training";
import { say, type RunContext } from "@medgpt/core/run";
import { z } from "zod";
import { FORMAT_NAMES } from "./convert/config.js";
import { CHUNK_BYTES } from "./parallel/chunk.js";
import { mapInOrder } from "./parallel/map-in-order.js";
import { readChunks } from "./parallel/read-chunks.js";
import type { TaskName, TaskOptions, TaskResult } from "./parallel/tasks.js";

export const inputFlags = topic("Input", {
  in: positional(z.array(z.string()).min(1), {
    help: "Files of rows (.jsonl, .json, .csv, .tsv, .parquet, .txt), or folders of such files.",
  }),
  from: flag(z.enum(FORMAT_NAMES).nullable(), {
    default: null,
    help: "The format of the rows; by default what their columns say.",
  }),
});

export const threadFlags = topic("Processes and devices", {
  threads: threadsFlag("Threads to read rows with; by default one a core. What comes out is the same for any number."),
});

/** See `ComparedBy`. */
export const comparedByFlag = (fallback: "prompt" | "row", help: string) =>
  flag(z.enum(["prompt", "row"]), { default: fallback, help });

export const seedFlag = flag(z.int().min(0), { default: 42, help: "The same seed gives the same rows again." });

export interface RowFiles {
  readonly files: readonly string[];
  readonly bytes: number;
}

/** The files that names stand for. */
export async function findRowFiles(names: readonly string[]): Promise<RowFiles> {
  const files: string[] = [];
  let bytes = 0;
  for (const name of names) {
    const info = await stat(name).catch((cause: unknown) => {
      throw readError(cause, name);
    });
    if (!info.isDirectory() && !ROW_EXTENSIONS.includes(extname(name)))
      throw new InputError(`expected a file ending in ${ROW_EXTENSIONS.join(", ")}`, { place: name });
    if (!info.isDirectory() && !info.isFile())
      throw new InputError("expected a file, but this is a pipe or device", { place: name });
    const found = info.isDirectory() ? (await listTextFiles(name, ROW_EXTENSIONS)).files : [name];
    files.push(...found);
    for (const file of found) bytes += (await stat(file)).size;
  }
  return { files, bytes };
}

export const overwriteFlag = flag(z.boolean(), { default: false, help: "Replace what is there." });

/**
 * @param path the value of the flag `name`; null where it was not given
 * @throws InputError unless the file can be written
 */
export async function checkOut(name: string, path: string | null, overwrite: boolean): Promise<void> {
  if (path === null) return;
  await checkFolder(name, dirname(path));
  if (
    await stat(path).then(
      (info) => info.isDirectory(),
      () => false,
    )
  )
    throw new InputError(`--${name}: expected a file, this is a folder`, { place: path });
  if (name === "out" && extname(path) !== ".jsonl")
    throw new InputError(`--out: expected a file ending in .jsonl, got ${path}; medgpt data convert writes others`);
  if (existsSync(path) && !overwrite)
    throw new InputError(`--${name}: is there already; choose another name, or give --overwrite`, { place: path });
}

/** Starting threads takes longer than reading this. */
const SMALL_BYTES = 4 << 20;

/** Does a task on all rows of files; its results come in the order of the rows, each of a part of one file. */
export async function* mapRows<N extends TaskName>(
  { files, bytes: total }: RowFiles,
  task: N,
  options: TaskOptions<N>,
  { threads, log, signal }: RunContext & { readonly threads: number | null },
): AsyncGenerator<TaskResult<N>> {
  const count = threads ?? (total < SMALL_BYTES ? 1 : availableParallelism());
  let done = 0;
  const progress = (unit: number): void =>
    log({ type: "progress", task: "reading", done: (done = Math.min(total, done + unit)), total, unit: "bytes" });
  const onNote = (text: string): void => say({ log }, text, "warn");
  for await (const part of mapInOrder(readChunks(files, CHUNK_BYTES, onNote), task, options, {
    threads: count,
    signal,
  })) {
    yield part;
    progress(part.bytesRead);
  }
  if (done < total) progress(total);
  signal?.throwIfAborted();
}
