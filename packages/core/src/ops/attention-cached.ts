import { refuseGradients } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import type { Packing } from "./attention.js";
import { ShapeError } from "./rows.js";

/** Keys and values of several sequences. No gradient flows through a cache. */
export interface KeyValues {
  /** (sequences, kvHeads, capacity, dim) */
  readonly keys: Tensor;
  /** (sequences, kvHeads, capacity, dim) */
  readonly values: Tensor;
}

/** Where the rows of a batch belong in a cache. */
export interface Places {
  /** (tokens) i32, the sequence */
  readonly slots: Tensor;
  /** (tokens) i32, the place in it */
  readonly positions: Tensor;
}

/** HeadView of every token in a tensor: where the first one's elements begin, and how far apart heads and tokens are. */
export interface HeadView {
  readonly x: Tensor;
  readonly offset: number;
  readonly head: number;
  readonly stride: number;
}

/** Queries, keys and values of one projection; see `attentionPacked`. */
export function packedHeads(
  qkv: Tensor,
  packing: Packing,
  { heads, dim }: { heads: number; dim: number },
): [q: HeadView, k: HeadView, v: HeadView] {
  const [head, next] = packing === "by head" ? [3 * dim, dim] : [dim, heads * dim];
  const part = (index: number): HeadView => ({ x: qkv, offset: index * next, head, stride: 3 * heads * dim });
  return [part(0), part(1), part(2)];
}

/** Puts the keys or values of a batch into one of the cache's tensors. */
export const cacheRows = op("cacheRows", (cache: Tensor, from: HeadView, { slots, positions }: Places): void => {
  refuseGradients("cacheRows", { cache, from: from.x, slots, positions });
  const [slotCount, heads, capacity, dim] = dimensions(cache);
  cache.backend.kernels.cacheRows({
    ...{ cache, x: elements(from), slots, positions, slotCount, capacity },
    ...{ rows: slots.size, heads, dim, xStride: from.stride, xHead: from.head },
  });
});

export interface CachedAttentionOptions {
  readonly heads: number;
  readonly scale?: number | undefined;
  readonly slopes?: Tensor | undefined;
  readonly window?: number | undefined;
  readonly softCap?: number | undefined;
}

/**
 * Attention of each token with the tokens of its sequence in the cache, up to its own place. Options as for `attention`.
 * @returns (tokens, heads * dim) in the dtype of the queries
 */
export const attentionCached = op(
  "attentionCached",
  (q: HeadView, { keys, values }: KeyValues, { slots, positions }: Places, options: CachedAttentionOptions): Tensor => {
    const { heads, slopes, softCap = 0, window = 0 } = options;
    refuseGradients("attentionCached", { q: q.x, keys, values, slots, positions, slopes });
    const [slotCount, kvHeads, capacity, dim] = dimensions(keys);
    if (heads % kvHeads !== 0) throw new ShapeError(`${heads} query heads cannot share ${kvHeads} key heads evenly`);
    const rows = slots.size;
    const out = empty(keys.backend, [rows, heads * dim], q.x.dtype);
    keys.backend.kernels.attentionCached({
      ...{
        out,
        q: elements(q),
        keys,
        values,
        slots,
        positions,
        slopes,
        slotCount,
        capacity,
        rows,
        heads,
        kvHeads,
        dim,
      },
      ...{ qStride: q.stride, qHead: q.head, scale: options.scale ?? 1 / Math.sqrt(dim), softCap, window },
    });
    return out;
  },
);

function elements({ x, offset }: HeadView): Tensor {
  return x.view([x.size - offset], offset);
}

function dimensions(cache: Tensor): readonly [number, number, number, number] {
  if (cache.shape.length !== 4) throw new ShapeError(`a cache has 4 dimensions, got (${cache.shape.join(", ")})`);
  return cache.shape as readonly [number, number, number, number];
}
