import type { HostArray } from "../backend.js";
import type { View } from "../kernels.js";

interface Write {
  readonly view: View;
  readonly data: HostArray;
}

/** Calls of an engine, in order, to be made again. */
export class Recording {
  /** As `Engine.replay` takes them, and writes. */
  readonly #calls: (readonly number[] | Write)[] = [];
  /** By buffer that was allocated meanwhile and is alive, the number of the call. */
  readonly #alive = new Map<number, number>();

  alloc(id: number, dtype: number, size: number): void {
    this.#alive.set(id, this.#calls.length);
    this.#calls.push([0, id, dtype, size]);
  }

  /** Of a buffer that was there before, this is no part of what can be done twice. */
  free(id: number): void {
    if (this.#alive.delete(id)) this.#calls.push([1, id]);
  }

  enqueue(words: Float64Array): void {
    this.#calls.push([2, words.length, ...words]);
  }

  write({ buffer, offset, dtype }: View, data: HostArray): void {
    this.#calls.push({ view: { buffer, offset, dtype }, data });
  }

  /** Writes, and what comes between them. What is alive is not allocated again. */
  steps(): (Float64Array | Write)[] {
    const skipped = new Set(this.#alive.values());
    const steps: (number[] | Write)[] = [[]];
    this.#calls.forEach((call, index) => {
      if ("view" in call) steps.push(call, []);
      else if (!skipped.has(index)) (steps.at(-1) as number[]).push(...call);
    });
    return steps.map((step) => ("view" in step ? step : Float64Array.from(step)));
  }
}
