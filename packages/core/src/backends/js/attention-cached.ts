import type { KernelArgs } from "../kernels.js";
import { extent, type JsMemory } from "./memory.js";

/** The checked place of every row in a cache. */
function placesOf(
  memory: JsMemory,
  {
    rows,
    slotCount,
    capacity,
    ...args
  }: Pick<KernelArgs<"cacheRows">, "rows" | "slotCount" | "capacity" | "slots" | "positions">,
): { slots: Int32Array; positions: Int32Array } {
  const slots = memory.ints(args.slots, rows);
  const positions = memory.ints(args.positions, rows);
  for (let r = 0; r < rows; r++) {
    const [slot, position] = [slots[r]!, positions[r]!];
    if (slot < 0 || slot >= slotCount || position < 0 || position >= capacity)
      throw new Error(
        `row ${r} is token ${position} of sequence ${slot}, outside a cache of ${slotCount} sequences of ${capacity}`,
      );
  }
  return { slots, positions };
}

export function cacheRows(memory: JsMemory, args: KernelArgs<"cacheRows">): void {
  const { slotCount, capacity, rows, heads, dim, xStride, xHead } = args;
  const cache = memory.output(args.cache, slotCount * heads * capacity * dim);
  const x = memory.floats(args.x, extent(rows, xStride, extent(heads, xHead, dim)));
  const { slots, positions } = placesOf(memory, args);
  for (let r = 0; r < rows; r++)
    for (let h = 0; h < heads; h++)
      for (let d = 0; d < dim; d++)
        cache[((slots[r]! * heads + h) * capacity + positions[r]!) * dim + d] = x[r * xStride + h * xHead + d]!;
}

export function attentionCached(memory: JsMemory, args: KernelArgs<"attentionCached">): void {
  const { slotCount, capacity, rows, heads, kvHeads, dim, qStride, qHead, scale, softCap, window } = args;
  if (heads % kvHeads !== 0) throw new Error(`${heads} query heads cannot share ${kvHeads} key heads evenly`);
  const out = memory.output(args.out, rows * heads * dim);
  const q = memory.floats(args.q, extent(rows, qStride, extent(heads, qHead, dim)));
  const keys = memory.floats(args.keys, slotCount * kvHeads * capacity * dim);
  const values = memory.floats(args.values, slotCount * kvHeads * capacity * dim);
  const slopes = args.slopes && memory.floats(args.slopes, heads);
  const { slots, positions } = placesOf(memory, args);
  const scores = new Float64Array(capacity);
  const weighted = new Float64Array(dim);
  for (let r = 0; r < rows; r++) {
    const last = positions[r]!;
    const first = window > 0 ? Math.max(0, last - window + 1) : 0;
    for (let h = 0; h < heads; h++) {
      const base = (slots[r]! * kvHeads + Math.floor((h * kvHeads) / heads)) * capacity;
      let max = -Infinity;
      for (let j = first; j <= last; j++) {
        let score = 0;
        for (let d = 0; d < dim; d++) score += q[r * qStride + h * qHead + d]! * keys[(base + j) * dim + d]!;
        score *= scale;
        if (softCap > 0) score = softCap * Math.tanh(score / softCap);
        if (slopes !== undefined) score += slopes[h]! * (j - last);
        scores[j] = score;
        max = Math.max(max, score);
      }
      let total = 0;
      weighted.fill(0);
      for (let j = first; j <= last; j++) {
        const weight = Math.exp(scores[j]! - max);
        total += weight;
        for (let d = 0; d < dim; d++) weighted[d]! += weight * values[(base + j) * dim + d]!;
      }
      for (let d = 0; d < dim; d++) out[(r * heads + h) * dim + d] = weighted[d]! / total;
    }
  }
}
