import type { CausalLm } from "../models/role.js";
import { passValues, type PassValues } from "../nn/decoder.js";
import { takeRows } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, tensor, type Tensor } from "../tensor/tensor.js";
import type { KvCache } from "./kv-cache.js";

/** A sequence that the cache has nothing of. */
export interface Prompt {
  readonly slot: number;
  readonly ids: ArrayLike<number>;
}

/** The newest token of a sequence of which the cache has all before it. */
export interface NextToken {
  readonly slot: number;
  readonly position: number;
  readonly id: number;
}

/**
 * Prompts see themselves alone, and a pass for them is made anew each time. Next tokens see what the cache has, and since
 * most passes are for them, their calls are recorded.
 */
export type Pass = { readonly prompts: readonly Prompt[] } | { readonly next: readonly NextToken[] };

/** The last token of a sequence and its place. */
export function newest(ids: readonly number[]): Omit<NextToken, "slot"> {
  return { position: ids.length - 1, id: ids.at(-1) as number };
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
  async logits(pass: Pass): Promise<Float32Array[]> {
    const values = (await this.#read(pass, false)) as Float32Array;
    const count = "prompts" in pass ? pass.prompts.length : pass.next.length;
    const width = values.length / count;
    return Array.from({ length: count }, (_, row) => values.subarray(row * width, (row + 1) * width));
  }

  /** The likeliest token after each sequence: the first of those with the largest logit. */
  async likeliest(pass: Pass): Promise<Int32Array> {
    return (await this.#read(pass, true)) as Int32Array;
  }

  dispose(): void {
    this.#step?.dispose();
    this.#step = undefined;
  }

  async #read(pass: Pass, likeliest: boolean): Promise<Float32Array | Int32Array> {
    if ("prompts" in pass) {
      const result = promptPass(this.#model, this.#cache, pass.prompts, likeliest);
      try {
        return await result.read();
      } finally {
        result.dispose();
      }
    }
    if (this.#step?.rows !== pass.next.length || this.#step.likeliest !== likeliest) {
      this.dispose();
      this.#step = new Step(this.#model, this.#cache, pass.next.length, likeliest);
    }
    return this.#step.run(pass.next).read();
  }
}

/** A pass for one more token of each of `rows` sequences, which can be run again for others of the model and cache. */
class Step {
  readonly #model: CausalLm;
  readonly #tensors: Readonly<Record<keyof StepValues, Tensor | undefined>>;
  /** Makes the same calls whatever the tensors hold: it has nothing else to go by. */
  readonly #pass: () => Tensor;
  #result: Tensor | undefined;
  #replay: (() => void) | undefined;

  constructor(
    model: CausalLm,
    cache: KvCache,
    readonly rows: number,
    readonly likeliest: boolean,
  ) {
    this.#model = model;
    const ints = (): Tensor => empty(model.backend, [rows], "i32");
    const { frequencies, slopes } = passValues(model.options, { ids: new Int32Array(), positions: new Int32Array() });
    const floats = (like: Float32Array | undefined) => like && empty(model.backend, [like.length], "f32");
    const tensors = {
      ids: ints(),
      positions: ints(),
      slots: ints(),
      frequencies: floats(frequencies),
      slopes: floats(slopes),
    };
    const { slots, ...inputs } = tensors;
    this.#tensors = tensors;
    this.#pass = () => scored(model, likeliest, () => model.pass({ ...inputs, context: { cache: cache.at(slots) } }));
  }

  /** @returns as `scored`; it is this pass's, and there until the next run */
  run(tokens: readonly NextToken[]): Tensor {
    const { backend, options } = this.#model;
    const values = stepValues(options, tokens);
    for (const name of Object.keys(values) as (keyof StepValues)[]) {
      const [into, value] = [this.#tensors[name], values[name]];
      if (into !== undefined && value !== undefined) backend.write(into, value);
    }
    if (this.#replay !== undefined && this.#result !== undefined) {
      this.#replay();
      return this.#result;
    }
    this.#result?.dispose();
    const recorded = backend.record?.(this.#pass) ?? { result: this.#pass(), replay: undefined };
    this.#replay = recorded.replay;
    return (this.#result = recorded.result);
  }

  dispose(): void {
    for (const tensor of [...Object.values(this.#tensors), this.#result]) tensor?.dispose();
  }
}

/** All that differs between the runs of a step. */
interface StepValues extends PassValues {
  readonly slots: Int32Array;
}

function stepValues(options: CausalLm["options"], tokens: readonly NextToken[]): StepValues {
  const ids = Int32Array.from(tokens, ({ id }) => id);
  const positions = Int32Array.from(tokens, ({ position }) => position);
  return { ...passValues(options, { ids, positions }), slots: Int32Array.from(tokens, ({ slot }) => slot) };
}

function promptPass(model: CausalLm, cache: KvCache, prompts: readonly Prompt[], likeliest: boolean): Tensor {
  const { backend } = model;
  return scored(model, likeliest, () => {
    const ids = Int32Array.from(prompts.flatMap(({ ids }) => Array.from(ids)));
    const positions = Int32Array.from(prompts.flatMap(({ ids }) => Array.from(ids, (_, place) => place)));
    const slots = Int32Array.from(prompts.flatMap(({ slot, ids }) => Array.from(ids, () => slot)));
    const segments = new Int32Array(prompts.length + 1);
    prompts.forEach(({ ids }, index) => (segments[index + 1] = (segments[index] as number) + ids.length));
    const batch = { ids, positions, segments, labels: new Int32Array(ids.length).fill(-100) };
    const hidden = model.forward(batch, { cache: cache.at(tensor(backend, slots, [slots.length])) });
    const last = segments.subarray(1).map((end) => end - 1);
    return takeRows(hidden, tensor(backend, last, [last.length]));
  });
}

/** Of final hidden states (sequences, hidden) the logits (sequences, vocab), or the likeliest tokens (sequences). */
function scored(model: CausalLm, likeliest: boolean, hidden: () => Tensor): Tensor {
  const { backend } = model;
  return scope(() =>
    noGrad(() => {
      const logits = model.head.logits(hidden());
      if (!likeliest) return logits;
      const [count, cols] = logits.shape as [number, number];
      const out = empty(backend, [count], "i32");
      backend.kernels.argMax({ out, x: logits, rows: count, cols });
      return out;
    }),
  );
}
