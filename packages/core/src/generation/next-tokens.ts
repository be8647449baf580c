import { embedding } from "../ops/index.js";
import type { CausalLm } from "../models/causal-lm.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, tensor, type Tensor } from "../tensor/tensor.js";
import type { KvCache } from "./kv-cache.js";

/** New tokens of a cached sequence. */
export interface Continuation {
  readonly slot: number;
  /** How many tokens the cache has before these. */
  readonly position: number;
  readonly ids: ArrayLike<number>;
}

/** A pass that can be run again for other tokens of the same sequences. */
interface Step {
  readonly key: string;
  readonly frequencies: Float32Array | undefined;
  readonly batch: { readonly ids: Int32Array; readonly positions: Int32Array };
  readonly result: Tensor;
  readonly replay: () => void;
}

/** Runs new tokens of cached sequences through a model, to say what may come after them. */
export class NextTokens {
  readonly #model: CausalLm;
  readonly #cache: KvCache;
  #step: Step | undefined;

  constructor(model: CausalLm, cache: KvCache) {
    this.#model = model;
    this.#cache = cache;
  }

  /** The logits (vocab) after the last token of each sequence. */
  async logits(sequences: readonly Continuation[]): Promise<Float32Array[]> {
    const values = (await this.#read(sequences, false)) as Float32Array;
    const width = values.length / sequences.length;
    return sequences.map((_, row) => values.subarray(row * width, (row + 1) * width));
  }

  /** The likeliest token after each sequence: the first of those with the largest logit. */
  async likeliest(sequences: readonly Continuation[]): Promise<Int32Array> {
    return (await this.#read(sequences, true)) as Int32Array;
  }

  dispose(): void {
    this.#step?.result.dispose();
    this.#step = undefined;
  }

  async #read(sequences: readonly Continuation[], likeliest: boolean): Promise<Float32Array | Int32Array> {
    const batch = batchOf(sequences);
    const slots = sequences.map(({ slot }) => slot);
    const run = (): Tensor => this.#run(batch, slots, likeliest);
    // Most passes take one token each, with the same calls again and again.
    const { positions: places } = this.#model.options;
    const frequencies = places.kind === "rope" ? places.frequencies(Math.max(...batch.positions) + 1) : undefined;
    const key = [likeliest, ...slots].join();
    const single = batch.ids.length === sequences.length;
    if (single && this.#step?.key === key && this.#step.frequencies === frequencies) {
      this.#step.batch.ids.set(batch.ids);
      this.#step.batch.positions.set(batch.positions);
      this.#step.replay();
      return this.#step.result.read();
    }
    const recorded = single ? this.#model.backend.record?.(run) : undefined;
    if (recorded !== undefined) {
      this.dispose();
      this.#step = { key, frequencies, batch, ...recorded };
      return recorded.result.read();
    }
    const result = run();
    try {
      return await result.read();
    } finally {
      result.dispose();
    }
  }

  /** Logits (sequences, vocab), or the likeliest tokens (sequences). */
  #run(batch: ReturnType<typeof batchOf>, slots: readonly number[], likeliest: boolean): Tensor {
    const { backend } = this.#model;
    return scope(() =>
      noGrad(() => {
        const hidden = this.#model.forward(batch, { cache: this.#cache.view(slots) });
        const last = batch.segments.subarray(1).map((end) => end - 1);
        const all = last.length === batch.ids.length;
        const rows = all ? hidden : embedding(hidden, tensor(backend, last, [last.length]), { dtype: hidden.dtype });
        const logits = this.#model.logits(rows);
        if (!likeliest) return logits;
        const [count, cols] = logits.shape as [number, number];
        const out = empty(backend, [count], "i32");
        backend.kernels.argMax({ out, x: logits, rows: count, cols });
        return out;
      }),
    );
  }
}

function batchOf(sequences: readonly Continuation[]) {
  const total = sequences.reduce((sum, { ids }) => sum + ids.length, 0);
  const [ids, positions] = [new Int32Array(total), new Int32Array(total)];
  const segments = new Int32Array(sequences.length + 1);
  sequences.forEach(({ position, ids: own }, index) => {
    const first = segments[index] as number;
    segments[index + 1] = first + own.length;
    for (let i = 0; i < own.length; i++) {
      ids[first + i] = own[i] as number;
      positions[first + i] = position + i;
    }
  });
  return { ids, positions, segments, labels: new Int32Array(total).fill(-100) };
}
