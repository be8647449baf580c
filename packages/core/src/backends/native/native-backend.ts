/** The backend in Rust: encodes calls and hands them to the engine of @medgpt/native, which works on its own threads. */
import { InputError } from "@medgpt/artifacts";
import type { Engine } from "@medgpt/native";
import { loadNative, type NativeModule } from "../../run/native.js";
import { BYTES, DTYPES, type DType } from "../../numeric/dtype.js";
import type { Backend, HostArray, KernelEvent, MemoryStats } from "../backend.js";
import { KERNELS, type KernelArgs, type KernelName, type Kernels, type MatMulTerm, type View } from "../kernels.js";
import { Recording } from "./recording.js";

/**
 * @param options.threads threads in all, by default as many as the machine gives this process
 * @param options.isa portable, avx2, avx512 or avx512bf16; by default MEDGPT_ISA, else the best the CPU has
 * @throws Error with the reason where the native module is missing or older than this package
 * @throws InputError for threads or an instruction set that cannot be had
 */
export function createNativeBackend(options: { threads?: number; isa?: string } = {}): Backend {
  const loaded = loadNative();
  if ("reason" in loaded) throw new Error(`the native backend is not available: ${loaded.reason}`);
  const engine = createEngine(loaded.native, options);
  checkKernelTable(engine.kernelTable());
  return new NativeBackend(engine);
}

function createEngine({ Engine }: NativeModule, { threads, isa }: { threads?: number; isa?: string }): Engine {
  try {
    return new Engine(threads, isa);
  } catch (error) {
    const { message } = error as Error;
    const forced = isa === undefined && message.includes("instruction set");
    throw new InputError(message, forced ? { place: "MEDGPT_ISA" } : {});
  }
}

/** @throws Error unless the library's kernels and their arguments are those of KERNELS, in order */
export function checkKernelTable(table: readonly string[]): void {
  const ours = Object.entries(KERNELS).map(([name, fields]) => {
    return `${name}:${Object.entries(fields).map(([field, kind]) => `${field} ${kind}`)}`;
  });
  const at = ours.findIndex((line, i) => line !== table[i]);
  if (at < 0 && table.length === ours.length) return;
  const name = (ours[at] ?? table[ours.length])?.split(":")[0];
  throw new Error(
    `the native library was built from another version of its kernels (they differ at ${name}); ` +
      `build it again with "npm run build --workspace @medgpt/native"`,
  );
}

class NativeBackend implements Backend {
  readonly name = "native";
  readonly description: string;
  readonly dtypes: readonly DType[] = ["f32", "bf16", "i32", "u8"];
  readonly missing: readonly KernelName[] = [];
  readonly kernels: Kernels;

  readonly #engine: Engine;
  #lastId = 0;
  /** Bytes by id of every buffer alive as queued so far; 0 for a mapped one. */
  readonly #live = new Map<number, number>();
  #liveBytes = 0;
  #peakBytes = 0;
  #disposed: Promise<void> | undefined;
  #recording: Recording | undefined;
  /** Where one call is encoded; the engine copies it. */
  #words = new Float64Array(1024);

  constructor(engine: Engine) {
    this.#engine = engine;
    this.description = engine.description();
    const names = Object.keys(KERNELS) as KernelName[];
    this.kernels = Object.fromEntries(names.map((name, index) => [name, this.#encoder(name, index)])) as Kernels;
  }

  alloc(dtype: DType, size: number): number {
    const id = ++this.#lastId;
    this.#engine.alloc(id, DTYPES.indexOf(dtype), size);
    this.#recording?.alloc(id, DTYPES.indexOf(dtype), size);
    const bytes = size * BYTES[dtype];
    this.#live.set(id, bytes);
    this.#liveBytes += bytes;
    if (this.#liveBytes > this.#peakBytes) this.#peakBytes = this.#liveBytes;
    return id;
  }

  map(path: string, byteOffset: number, dtype: DType, size: number): number {
    const id = ++this.#lastId;
    this.#engine.map(id, path, byteOffset, DTYPES.indexOf(dtype), size);
    this.#live.set(id, 0);
    return id;
  }

  free(buffer: number): void {
    this.#engine.free(buffer);
    this.#recording?.free(buffer);
    this.#liveBytes -= this.#live.get(buffer) ?? 0;
    this.#live.delete(buffer);
  }

  write(view: View, data: HostArray): void {
    if (this.#recording !== undefined) throw new Error("write: what is recorded may not write; write before it");
    const stored = view.dtype === "f32" && data instanceof Float64Array ? Float32Array.from(data) : data;
    if (!fits(view.dtype, stored)) {
      throw new Error(`write: ${data.constructor.name} does not fit a view of ${view.dtype}`);
    }
    const bytes = new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
    this.#engine.write(view.buffer, view.offset, bytes);
  }

  async read(view: View, count: number): Promise<Float32Array | Int32Array | Uint8Array> {
    const { dtype } = view;
    const bytes = await this.#settled(this.#engine.read(view.buffer, view.offset, count, false));
    if (dtype === "u8") return bytes;
    return dtype === "i32"
      ? new Int32Array(bytes.buffer, bytes.byteOffset, count)
      : new Float32Array(bytes.buffer, bytes.byteOffset, count);
  }

  readBytes(view: View, count: number): Promise<Uint8Array> {
    return this.#settled(this.#engine.read(view.buffer, view.offset, count, true));
  }

  async sync(): Promise<void> {
    await this.#settled(this.#engine.sync());
  }

  abort(): void {
    this.#engine.abort();
  }

  record<T>(body: () => T): { result: T; replay: () => void } {
    const recording = new Recording();
    this.#recording = recording;
    try {
      const result = body();
      const calls = recording.calls();
      return { result, replay: () => this.#engine.replay(calls) };
    } finally {
      this.#recording = undefined;
    }
  }

  memory(): MemoryStats {
    return { liveBytes: this.#liveBytes, liveBuffers: this.#live.size, peakBytes: this.#peakBytes };
  }

  resetPeak(): void {
    this.#peakBytes = this.#liveBytes;
  }

  profile(on: boolean): readonly KernelEvent[] {
    const words = this.#engine.profile(on);
    const names = Object.keys(KERNELS) as KernelName[];
    const events: KernelEvent[] = [];
    for (let at = 0; at < words.length;) {
      const [start, duration, bytes, length, index] = words.subarray(at, at + 5) as unknown as number[] as [
        number,
        number,
        number,
        number,
        number,
      ];
      const name = names[index] as KernelName;
      events.push({ name, start, duration, bytes, ...decode(name, words.subarray(at + 5, at + 4 + length)) });
      at += 4 + length;
    }
    return events;
  }

  dispose(): Promise<void> {
    this.#live.clear();
    this.#liveBytes = 0;
    this.#disposed ??= this.#engine.dispose().then(() => undefined);
    return this.#disposed;
  }

  async #settled<T>(reply: Promise<T>): Promise<T> {
    try {
      return await reply;
    } catch (error) {
      const { message } = error as Error;
      throw message.startsWith("aborted") ? new DOMException(message, "AbortError") : new Error(message);
    }
  }

  /** The function that encodes and enqueues one kernel: its index, then the fields in the table's order. */
  #encoder<K extends KernelName>(kernel: K, index: number): (args: KernelArgs<K>) => void {
    const fields = Object.entries(KERNELS[kernel]);
    return (args) => {
      let words = this.#words;
      words[0] = index;
      let at = 1;
      for (const [name, kind] of fields) {
        const value = (args as Record<string, unknown>)[name];
        if (kind === "number") {
          words[at++] = value as number;
        } else if (kind === "terms") {
          const terms = value as readonly MatMulTerm[];
          words = this.#room(at + 1 + TERM_WORDS * terms.length);
          words[at++] = terms.length;
          for (const term of terms) at = encodeTerm(words, at, term);
        } else if (value !== undefined) {
          words[at++] = (value as View).buffer;
          words[at++] = (value as View).offset;
        } else if (kind === "view?") {
          words[at++] = 0;
          words[at++] = 0;
        } else {
          throw new Error(`${kernel}: the argument ${name} is missing`);
        }
      }
      this.#engine.enqueue(words, at);
      this.#recording?.enqueue(words.subarray(0, at));
    };
  }

  /** The words, longer if need be. */
  #room(length: number): Float64Array<ArrayBuffer> {
    if (length > this.#words.length) {
      const longer = new Float64Array(2 * length);
      longer.set(this.#words);
      this.#words = longer;
    }
    return this.#words;
  }
}

/** Words of a product: a (id, offset), lda, aTrans, b (id, offset), ldb, bTrans, k, scale, mask (id, offset). */
const TERM_WORDS = 12;

function encodeTerm(words: Float64Array, at: number, term: MatMulTerm): number {
  words[at++] = term.a.buffer;
  words[at++] = term.a.offset;
  words[at++] = term.lda;
  words[at++] = term.aTrans ? 1 : 0;
  words[at++] = term.b.buffer;
  words[at++] = term.b.offset;
  words[at++] = term.ldb;
  words[at++] = term.bTrans ? 1 : 0;
  words[at++] = term.k;
  words[at++] = term.scale;
  words[at++] = term.mask?.buffer ?? 0;
  words[at++] = term.mask?.offset ?? 0;
  return at;
}

function fits(dtype: DType, data: HostArray): boolean {
  if (dtype === "f32") return data instanceof Float32Array;
  if (dtype === "i32") return data instanceof Int32Array;
  if (dtype === "u8") return data instanceof Uint8Array;
  return data instanceof Uint16Array;
}

/** The numbers and terms of an encoded call. */
function decode(name: KernelName, words: Float64Array): Pick<KernelEvent, "numbers" | "terms"> {
  const numbers: Record<string, number> = {};
  const terms: { k: number }[] = [];
  let at = 0;
  const next = (): number => words[at++] as number;
  for (const [field, kind] of Object.entries(KERNELS[name])) {
    if (kind === "number") numbers[field] = next();
    else if (kind === "terms")
      for (let count = next(); count > 0; count--, at += TERM_WORDS) terms.push({ k: words[at + 8] as number });
    else {
      if (kind === "view?") numbers[field] = words[at] === 0 ? 0 : 1;
      at += 2;
    }
  }
  return { numbers, terms };
}
