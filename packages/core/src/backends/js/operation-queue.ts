/**
 * The js backend's queue: operations run in order on the event loop, which gets its turn every 20 ms. It behaves as the
 * native one does: callers never wait but for a read, and a failure surfaces there.
 */
import { MedgptError } from "@medgpt/artifacts";

export type Operation =
  /** A kernel or a write: skipped after a failure until a read has reported it, and dropped by abort. */
  | { readonly kind: "work"; readonly name: string; readonly run: () => void }
  /** An allocation, a mapping or a free: always carried out, so that buffers and their ids stay in step. */
  | { readonly kind: "memory"; readonly name: string; readonly run: () => void }
  /** A read or a sync: reports an earlier failure through `reject`, else runs. */
  | { readonly kind: "read"; readonly name: string; readonly run: () => void; readonly reject: (error: Error) => void };

const SLICE_MS = 20;

export class OperationQueue {
  #operations: Operation[] = [];
  #next = 0;
  #failure: Error | undefined;
  #scheduled = false;

  enqueue(operation: Operation): void {
    this.#operations.push(operation);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#drain());
  }

  /** Drops the work that is queued and rejects the pending reads. */
  abort(): void {
    const pending = this.#operations.slice(this.#next);
    this.#operations = [];
    this.#next = 0;
    for (const operation of pending) {
      if (operation.kind === "memory") this.#carryOut(operation);
      if (operation.kind === "read") operation.reject(new DOMException(`${operation.name} was aborted`, "AbortError"));
    }
    this.#failure = undefined;
  }

  #drain(): void {
    const end = performance.now() + SLICE_MS;
    while (this.#next < this.#operations.length) {
      if (performance.now() > end) {
        this.#operations = this.#operations.slice(this.#next);
        this.#next = 0;
        setImmediate(() => this.#drain());
        return;
      }
      this.#carryOut(this.#operations[this.#next++]!);
    }
    this.#operations = [];
    this.#next = 0;
    this.#scheduled = false;
  }

  #carryOut(operation: Operation): void {
    const { kind, name } = operation;
    if (this.#failure !== undefined && kind === "work") return;
    if (this.#failure !== undefined && kind === "read") {
      operation.reject(this.#failure);
      this.#failure = undefined;
      return;
    }
    try {
      operation.run();
    } catch (cause) {
      const error = new MedgptError(`${name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      if (kind === "read") operation.reject(error);
      else this.#failure ??= error;
    }
  }
}
