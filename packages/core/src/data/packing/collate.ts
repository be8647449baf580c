import type { Batch } from "./batch.js";

/** One sequence: token ids, and the id each token is scored against (itself by default), -100 where it is not. */
export interface Row {
  readonly ids: Int32Array;
  readonly labels?: Int32Array | undefined;
}

/**
 * Puts sequences end to end. Labels are shifted here: token t is to predict row.labels[t + 1], the last token nothing, as
 * Hugging Face's causal models do it inside.
 */
export function collate(rows: readonly Row[]): Batch {
  const total = rows.reduce((sum, { ids }) => sum + ids.length, 0);
  const ids = new Int32Array(total);
  const positions = new Int32Array(total);
  const labels = new Int32Array(total).fill(-100);
  const segments = new Int32Array(rows.length + 1);
  let offset = 0;
  rows.forEach((row, index) => {
    ids.set(row.ids, offset);
    labels.set((row.labels ?? row.ids).subarray(1), offset);
    for (let t = 0; t < row.ids.length; t++) positions[offset + t] = t;
    offset += row.ids.length;
    segments[index + 1] = offset;
  });
  return { ids, positions, segments, labels };
}

/** Number of tokens in a batch that carry loss. */
export function labelCount(batch: Batch): number {
  return batch.labels.reduce((count, label) => count + (label === -100 ? 0 : 1), 0);
}
