/** A thread of map-in-order.ts: does one task on the chunks that it is sent. */
import { parentPort, workerData } from "node:worker_threads";
import type { InputError } from "@medgpt/artifacts";
import { MedgptError } from "@medgpt/artifacts";
import type { Chunk } from "./chunk.js";
import { loadTask, type TaskName, type TaskOptions } from "./tasks.js";

export type Answer =
  | { readonly type: "result"; readonly result: unknown }
  /** An InputError, whose class a message does not carry. */
  | { readonly type: "input error"; readonly message: string; readonly place: string | undefined }
  | { readonly type: "error"; readonly error: unknown };

const { task, options } = workerData as { task: TaskName; options: TaskOptions<TaskName> };
const port = parentPort!;
const loaded = loadTask(task, options);

port.on("message", (chunk: Chunk) => {
  void loaded
    .then((run) => {
      const result = run(chunk);
      port.postMessage({ type: "result", result } satisfies Answer, buffersOf(result));
    })
    .catch((error: unknown) => {
      const answer: Answer =
        MedgptError.isInstance(error) && error.userError
          ? { type: "input error", message: error.message, place: (error as InputError).place }
          : { type: "error", error };
      port.postMessage(answer);
    });
});

/** The memory behind a result's typed arrays: it is handed over, not copied. */
function buffersOf(result: object): ArrayBuffer[] {
  const arrays = Object.values(result)
    .flat()
    .filter((value) => ArrayBuffer.isView(value));
  return [...new Set(arrays.map(({ buffer }) => buffer as ArrayBuffer))];
}
