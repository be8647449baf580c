/** Caches of keys and values, and the heads that read and write them. */
import type { DType } from "../../numeric/dtype.js";

/** Places of rows in a cache: no two the same, out of order. */
export const CACHED: readonly { slots: number[]; positions: number[]; slotCount: number; capacity: number }[] = [
  { slots: [], positions: [], slotCount: 1, capacity: 4 },
  { slots: [0], positions: [0], slotCount: 1, capacity: 1 },
  { slots: [2, 0, 1], positions: [5, 0, 63], slotCount: 3, capacity: 64 },
  { slots: [1, 1, 1, 0], positions: [70, 69, 199, 128], slotCount: 2, capacity: 200 },
];

export const CACHED_HEADS: readonly {
  heads: number;
  kvHeads: number;
  dim: number;
  packed?: boolean;
  softCap?: number;
  window?: number;
  slopes?: boolean;
}[] = [
  { heads: 4, kvHeads: 2, dim: 16 },
  { heads: 7, kvHeads: 1, dim: 64 },
  { heads: 6, kvHeads: 6, dim: 20, packed: true, slopes: true },
  { heads: 2, kvHeads: 1, dim: 8, softCap: 3, window: 17 },
];

export const PLACE_TYPES: readonly [x: DType, cache: DType][] = [
  ["f32", "f32"],
  ["bf16", "bf16"],
  ["f32", "bf16"],
];
