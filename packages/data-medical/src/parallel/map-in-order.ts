/**
 * Applies a task to one item after the other on several threads and gives the results in the order of the items, so that
 * what is made of them does not depend on the number of threads. Tasks are named, because a thread is sent data, not code.
 */
import { Worker } from "node:worker_threads";
import { InputError } from "@medgpt/artifacts";
import { loadTask, type TaskName, type TaskOptions, type TaskResult } from "./tasks.js";
import type { Chunk } from "./chunk.js";
import type { Answer } from "./worker.js";

export interface MapOptions {
  /** 1 works in the calling thread. */
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
}

/** What every thread has at once: one to work on, one that waits, so that none is idle while results are written. */
const CHUNKS_A_THREAD = 2;

/** @throws InputError (from the iteration) for the first chunk that a task refuses; AbortError when the signal says so */
export async function* mapInOrder<N extends TaskName>(
  chunks: AsyncIterable<Chunk>,
  task: N,
  options: TaskOptions<N>,
  { threads, signal }: MapOptions,
): AsyncGenerator<TaskResult<N>> {
  if (threads === 1) {
    const run = await loadTask(task, options);
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      yield run(chunk);
    }
    return;
  }
  const workers = Array.from({ length: threads }, () => new TaskThread<TaskResult<N>>(task, options));
  try {
    const pending: Promise<TaskResult<N>>[] = [];
    let count = 0;
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      const result = workers[count++ % threads]!.run(chunk);
      result.catch(() => undefined); // it is awaited when its turn comes, which may be never
      pending.push(result);
      if (pending.length >= threads * CHUNKS_A_THREAD) yield await pending.shift()!;
    }
    while (pending.length > 0) {
      signal?.throwIfAborted();
      yield await pending.shift()!;
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
  }
}

/** One worker thread, which answers in the order in which it is asked. */
class TaskThread<R> {
  readonly #worker: Worker;
  #failure: { readonly error: unknown } | undefined;
  readonly #waiting: { resolve(result: R): void; reject(error: unknown): void }[] = [];

  constructor(task: string, options: object) {
    // In the source tree, where files are TypeScript, a loader comes first; see typescript-loader.mjs.
    const source = import.meta.url.endsWith(".ts");
    const loader = new URL("../testing/register-typescript.mjs", import.meta.url).href;
    const url = new URL(source ? "./worker.ts" : "./worker.js", import.meta.url);
    this.#worker = new Worker(url, {
      workerData: { task, options },
      ...(source && { execArgv: ["--import", loader] }),
    });
    this.#worker.on("message", (answer: Answer) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if (answer.type === "result") resolve(answer.result as R);
      else if (answer.type === "error") reject(answer.error);
      else {
        const { place, message } = answer;
        reject(
          place === undefined ? new InputError(message) : new InputError(message.slice(place.length + 2), { place }),
        );
      }
    });
    this.#worker.on("error", (error) => {
      this.#failure = { error };
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    });
  }

  async run(chunk: Chunk): Promise<R> {
    if (this.#failure !== undefined) throw this.#failure.error;
    const result = new Promise<R>((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#worker.postMessage(chunk, [chunk.bytes.buffer]);
    return result;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}
