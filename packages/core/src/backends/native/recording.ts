/** Calls of an engine, in order, to be made again. */
export class Recording {
  /** As `Engine.replay` takes them. */
  readonly #calls: (readonly number[])[] = [];
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

  /** As `Engine.replay` takes them. What is alive is not allocated again. */
  calls(): Float64Array {
    const skipped = new Set(this.#alive.values());
    return Float64Array.from(this.#calls.filter((_, index) => !skipped.has(index)).flat());
  }
}
