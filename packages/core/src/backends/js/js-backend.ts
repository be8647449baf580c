/**
 * The backend in plain TypeScript: the oracle that the other backends are compared with, and the fallback that runs
 * anywhere. It keeps floats in f32 (or, as an oracle, in f64), computes in double precision and is written to be read.
 */
import { BYTES, type DType } from "../../numeric/dtype.js";
import type { Backend, HostArray, MemoryStats } from "../backend.js";
import { KERNELS, type KernelArgs, type KernelName, type Kernels, type MatMulTerm, type View } from "../kernels.js";
import { jsKernels } from "./js-kernels.js";
import { JsMemory } from "./memory.js";
import { OperationQueue } from "./operation-queue.js";

/**
 * @param options.float64 keep "f32" buffers in double precision and read them as Float64Array, so that finite
 *   differences can check gradients
 */
export function createJsBackend(options: { float64?: boolean } = {}): Backend {
  return new JsBackend(options.float64 ?? false);
}

class JsBackend implements Backend {
  readonly name = "js";
  readonly description: string;
  readonly dtypes: readonly DType[] = ["f32", "i32"];
  readonly missing: readonly KernelName[] = [];
  readonly kernels: Kernels;

  readonly #float64: boolean;
  readonly #queue = new OperationQueue();
  readonly #memory: JsMemory;
  #lastId = 0;
  /** Bytes by id of every buffer alive as queued so far; the memory itself follows when the queue gets there. */
  readonly #live = new Map<number, number>();
  #liveBytes = 0;
  #peakBytes = 0;
  #disposed = false;

  constructor(float64: boolean) {
    this.#float64 = float64;
    this.description = `TypeScript, ${float64 ? "f64" : "f32"}, 1 thread`;
    this.#memory = new JsMemory(float64);
    const names = Object.keys(KERNELS) as KernelName[];
    this.kernels = Object.fromEntries(
      names.map((name) => [name, (args: KernelArgs<typeof name>) => this.#enqueueKernel(name, args)]),
    ) as Kernels;
  }

  alloc(dtype: DType, size: number): number {
    this.#checkUsable();
    if (dtype === "bf16" || dtype === "f16") {
      throw new Error(`the js backend computes in f32 and cannot allocate ${dtype}; only mapped files may hold it`);
    }
    if (!Number.isInteger(size) || size < 0) throw new Error(`alloc: a size is a whole number from 0, not ${size}`);
    const bytes = size * (dtype === "f32" && this.#float64 ? 8 : BYTES[dtype]);
    return this.#newBuffer(bytes, "alloc", (id) => this.#memory.allocate(id, dtype, size));
  }

  map(path: string, byteOffset: number, dtype: DType, size: number): number {
    this.#checkUsable();
    return this.#newBuffer(0, "map", (id) => this.#memory.map(id, path, byteOffset, dtype, size));
  }

  free(buffer: number): void {
    this.#checkUsable();
    this.#liveBytes -= this.#live.get(buffer) ?? 0;
    this.#live.delete(buffer);
    this.#queue.enqueue({ kind: "memory", name: "free", run: () => this.#memory.free(buffer) });
  }

  write(view: View, data: HostArray): void {
    this.#checkUsable();
    const accepted = {
      f32: data instanceof Float32Array || data instanceof Float64Array,
      bf16: data instanceof Uint16Array,
      f16: data instanceof Uint16Array,
      i32: data instanceof Int32Array,
      u8: data instanceof Uint8Array,
    };
    if (!accepted[view.dtype]) throw new Error(`write: ${data.constructor.name} does not fit a view of ${view.dtype}`);
    const target = copyView(view);
    const copy = data.slice();
    this.#queue.enqueue({
      kind: "work",
      name: "write",
      run: () => this.#memory.writable(target, copy.length).set(copy),
    });
  }

  read(view: View, count: number): Promise<Float32Array | Float64Array | Int32Array | Uint8Array> {
    const source = copyView(view);
    return this.#enqueueRead("read", () => this.#memory.copy(source, count));
  }

  readBytes(view: View, count: number): Promise<Uint8Array> {
    const source = copyView(view);
    return this.#enqueueRead("readBytes", () => this.#memory.bytes(source, count));
  }

  sync(): Promise<void> {
    return this.#enqueueRead("sync", () => undefined);
  }

  abort(): void {
    this.#queue.abort();
  }

  memory(): MemoryStats {
    return { liveBytes: this.#liveBytes, liveBuffers: this.#live.size, peakBytes: this.#peakBytes };
  }

  resetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }

  dispose(): Promise<void> {
    this.#disposed = true;
    this.#queue.abort();
    this.#memory.clear();
    this.#live.clear();
    this.#liveBytes = 0;
    return Promise.resolve();
  }

  #newBuffer(bytes: number, name: string, create: (id: number) => void): number {
    const id = ++this.#lastId;
    this.#live.set(id, bytes);
    this.#liveBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#liveBytes);
    this.#queue.enqueue({ kind: "memory", name, run: () => create(id) });
    return id;
  }

  #enqueueKernel<K extends KernelName>(name: K, args: KernelArgs<K>): void {
    this.#checkUsable();
    const queued = copyArgs(name, args);
    this.#queue.enqueue({ kind: "work", name, run: () => jsKernels[name](this.#memory, queued) });
  }

  #enqueueRead<T>(name: string, take: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#checkUsable();
      this.#queue.enqueue({ kind: "read", name, run: () => resolve(take()), reject });
    });
  }

  #checkUsable(): void {
    if (this.#disposed) throw new Error("the js backend was disposed of");
  }
}

function copyView({ buffer, offset, dtype }: View): View {
  return { buffer, offset, dtype };
}

/** The arguments as they are now: the caller may dispose of a tensor, which is a view, before its kernel runs. */
function copyArgs<K extends KernelName>(kernel: K, args: KernelArgs<K>): KernelArgs<K> {
  const given = args as Record<string, unknown>;
  const copies = Object.entries(KERNELS[kernel]).map(([name, field]) => {
    const value = given[name];
    if (value === undefined) {
      if (field === "view?") return [name, undefined];
      throw new Error(`${kernel}: the argument ${name} is missing`);
    }
    if (field === "number") return [name, value];
    if (field === "terms") {
      const terms = value as readonly MatMulTerm[];
      return [
        name,
        terms.map(({ mask, ...term }) => ({
          ...{ ...term, a: copyView(term.a), b: copyView(term.b) },
          mask: mask && copyView(mask),
        })),
      ];
    }
    return [name, copyView(value as View)];
  });
  return Object.fromEntries(copies) as KernelArgs<K>;
}
