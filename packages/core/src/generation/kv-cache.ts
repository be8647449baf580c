/** Keys and values of sequences that are being generated, in the precision that the model computes in. */
import type { CausalLm } from "../models/role.js";
import type { DecoderCache } from "../nn/decoder.js";
import type { KeyValues } from "../ops/index.js";
import { keep } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";

export class KvCache {
  readonly #layers: readonly KeyValues[];

  /**
   * @param slots number of sequences at a time
   * @param capacity most tokens of one
   */
  constructor(
    model: CausalLm,
    readonly slots: number,
    readonly capacity: number,
  ) {
    const { layers, kvHeads, headDim } = model.options;
    const allocate = (): Tensor => keep(empty(model.backend, [slots, kvHeads, capacity, headDim], model.compute));
    this.#layers = Array.from({ length: layers }, () => ({ keys: allocate(), values: allocate() }));
  }

  /** For a pass whose tokens belong to these slots, (tokens) i32. */
  at(slots: Tensor): DecoderCache {
    return { slots, layer: (index) => this.#layers[index] as KeyValues };
  }

  /** Makes the first `tokens` of one sequence those of another. */
  copy(from: number, to: number, tokens: number): void {
    for (const { keys, values } of this.#layers)
      for (const cache of [keys, values]) {
        const [, heads, capacity, dim] = cache.shape as [number, number, number, number];
        for (let head = 0; head < heads; head++) {
          const part = (slot: number) => cache.view([tokens, dim], (slot * heads + head) * capacity * dim);
          const [out, x] = [part(to), part(from)];
          cache.backend.kernels.copy({ out, x, count: x.size });
          out.dispose();
          x.dispose();
        }
      }
  }

  dispose(): void {
    for (const { keys, values } of this.#layers) {
      keys.dispose();
      values.dispose();
    }
  }
}
