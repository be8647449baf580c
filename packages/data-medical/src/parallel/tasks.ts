/**
 * What threads do with a chunk, by name; its code is loaded where it is asked for. A task's result is plain data; its typed
 * arrays are handed over, not copied.
 */
import type { Chunk } from "./chunk.js";
import type { Task } from "./task.js";

const TASKS = {
  check: async () => (await import("../check-task.js")).checkTask,
  dedup: async () => (await import("../dedup/dedup-task.js")).dedupTask,
  split: async () => (await import("../split/split-task.js")).splitTask,
  stats: async () => (await import("../stats/stats-task.js")).statsTask,
};

type Tasks = { [N in keyof typeof TASKS]: Awaited<ReturnType<(typeof TASKS)[N]>> };
export type TaskName = keyof Tasks;
export type TaskOptions<N extends TaskName> = Parameters<Tasks[N]>[0];
export type TaskResult<N extends TaskName> = ReturnType<Awaited<ReturnType<Tasks[N]>>>;

export async function loadTask<N extends TaskName>(
  name: N,
  options: TaskOptions<N>,
): Promise<(chunk: Chunk) => TaskResult<N>> {
  const task = (await TASKS[name]()) as unknown as Task<TaskOptions<N>, TaskResult<N>>;
  return task(options);
}
