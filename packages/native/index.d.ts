/**
 * A queue of work on buffers, carried out in order by one native thread with the help of others. Every method but `read`,
 * `sync` and `dispose` returns at once; a failure rejects the next `read` or `sync`, with the kernel's name.
 */
export class Engine {
  /**
   * threads: in all, by default what the machine gives this process. isa: one of `instructionSets`, by default what the
   * environment variable MEDGPT_ISA names, else the best.
   */
  constructor(threads?: number, isa?: string);
  /** Instruction set and threads. */
  description(): string;
  /** `name:field kind,field kind,…` for every kernel, in wire order. */
  kernelTable(): string[];
  /** dtypes by index: f32, bf16, f16, i32, u8. Ids are the caller's, from 1 on; 0 stands for an absent view. */
  alloc(id: number, dtypeIndex: number, size: number): void;
  map(id: number, path: string, byteOffset: number, dtypeIndex: number, size: number): void;
  free(id: number): void;
  /** Copies the bytes at once. */
  write(id: number, offset: number, bytes: Uint8Array): void;
  /** The first `count` words: the kernel's index in `kernelTable`, then its arguments. */
  enqueue(words: Float64Array, count: number): void;
  /** Calls one after the other: 0, id, dtypeIndex, size for `alloc`; 1, id for `free`; 2, count, words for `enqueue`. */
  replay(calls: Float64Array): void;
  /** The stored bytes if raw; otherwise bf16 and f16 are converted to f32. */
  read(id: number, offset: number, count: number, raw: boolean): Promise<Uint8Array>;
  sync(): Promise<unknown>;
  /** Drops queued kernels, writes and reads, and stops the running kernel. The reads reject with a message that starts with "aborted". */
  abort(): void;
  /**
   * Begins to record kernels, or ends it and returns them one after the other: start and duration in microseconds, bytes of
   * the operands, number of words, the words as they were enqueued.
   */
  profile(on: boolean): Float64Array;
  /** Drops everything queued and gives the memory back. */
  dispose(): Promise<unknown>;
}

/** The tokenizers crate, without truncation and padding. */
export class Tokenizer {
  /** From the contents of a tokenizer.json. */
  static fromJson(bytes: Uint8Array): Tokenizer;
  encode(text: string, addSpecialTokens: boolean): Int32Array;
  /** On all cores, off the main thread. The ids of all texts one after the other, and how many each text has. */
  encodeBatch(texts: string[], addSpecialTokens: boolean): Promise<{ ids: Int32Array; lengths: Int32Array }>;
  decode(ids: Int32Array, skipSpecialTokens: boolean): string;
  vocabSize(withAdded: boolean): number;
  tokenToId(token: string): number | null;
  idToToken(id: number): string | null;
}

/** The instruction sets of this CPU that there are kernels for, the best last: portable, avx2, avx512, avx512bf16. */
export function instructionSets(): string[];

/** GFLOP/s of a register loop of multiply-adds over `threads` threads, with MEDGPT_ISA's set or the best, for benchmarks. */
export function peakGflops(bf16: boolean, threads: number, milliseconds: number): Promise<number>;
