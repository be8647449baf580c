/**
 * What the engine needs of a device. Work is queued: every call below but `read` and `sync` returns at once, and the
 * backend performs allocations, kernels, writes and frees in the order they were asked for. A failure (out of memory, an
 * id that is not there) surfaces at the next `read` or `sync`, with the kernel's name, and the queue is then empty again.
 * Backends know buffers, not tensors, shapes or models.
 */
import type { DType } from "../numeric/dtype.js";
import type { BackendName } from "./names.js";
import type { KernelName, Kernels, View } from "./kernels.js";

export type HostArray = Float32Array | Float64Array | Int32Array | Uint16Array | Uint8Array;

export interface MemoryStats {
  /** Bytes of live buffers that the backend owns (mapped files not counted), as queued so far. */
  readonly liveBytes: number;
  /** Buffers alive, mapped ones included. */
  readonly liveBuffers: number;
  /** Highest liveBytes since the last resetPeak. */
  readonly peakBytes: number;
}

/** One kernel that ran. */
export interface KernelEvent {
  readonly name: KernelName;
  /** Microseconds since profiling began. */
  readonly start: number;
  readonly duration: number;
  /** Of every operand, each once. */
  readonly bytes: number;
  /** The kernel's numbers by name, and 1 or 0 for an optional view that was given or not. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly terms: readonly { readonly k: number }[];
}

export interface Backend {
  readonly name: BackendName;
  /** One line for the log: instruction set, threads. */
  readonly description: string;
  /** Dtypes that kernels compute on; mapped weights may also be f16. */
  readonly dtypes: readonly DType[];
  /** Kernels this backend lacks; empty for a complete one. */
  readonly missing: readonly KernelName[];
  readonly kernels: Kernels;

  /** A new buffer of `size` elements, contents undefined. Ids are never reused, so a stale one is an error. */
  alloc(dtype: DType, size: number): number;
  /** A read-only buffer over `size` elements at `byteOffset` of a file, which must stay in place (writers rename). */
  map(path: string, byteOffset: number, dtype: DType, size: number): number;
  free(buffer: number): void;
  /** Copies `data` now and stores it at the view. f32 and i32 views take Float32Array and Int32Array; bf16/f16 raw Uint16Array bits. */
  write(view: View, data: HostArray): void;
  /**
   * Waits for everything queued so far. f32, bf16 and f16 arrive as Float32Array (as Float64Array from a js backend in
   * double precision), i32 as Int32Array, u8 as Uint8Array.
   */
  read(view: View, count: number): Promise<Float32Array | Float64Array | Int32Array | Uint8Array>;
  /** The raw bytes of the region (bf16 as stored), for writing files. */
  readBytes(view: View, count: number): Promise<Uint8Array>;
  sync(): Promise<void>;
  /** Drops what is queued and stops the running kernel at its next tile; the pending reads reject with AbortError. */
  abort(): void;
  /**
   * Runs `body`, and returns beside its result what makes its calls again at a fraction of their cost. Buffers that outlived
   * it are used again, as long as they live. The body only computes, from buffers to buffers: it cannot look into them, and
   * writing throws, so no value that may differ the next time is in the calls or has decided which they are. What differs is
   * written to the buffers before a replay. Backends that cannot lack this.
   */
  record?<T>(body: () => T): { readonly result: T; readonly replay: () => void };
  memory(): MemoryStats;
  resetPeak(): void;
  /** Begins (true) or ends recording; ending returns what ran in between. Backends that cannot return nothing. */
  profile?(on: boolean): readonly KernelEvent[];
  dispose(): Promise<void>;
}
