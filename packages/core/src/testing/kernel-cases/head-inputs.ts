/** What the head with its loss and the gradient of its weight are given. */
import type { DType } from "../../numeric/dtype.js";
import type { Random } from "../random.js";
import { floats, ints, mapped } from "./case.js";

interface HeadChoice {
  rows: number;
  cols: number;
  vocab: number;
  labels?: "all skipped" | "all kept";
  softCap?: number;
}

export const HEADS: readonly HeadChoice[] = [
  { rows: 0, cols: 8, vocab: 10 },
  { rows: 1, cols: 1, vocab: 1, labels: "all kept" },
  { rows: 1, cols: 64, vocab: 100, labels: "all kept" },
  { rows: 3, cols: 7, vocab: 2 },
  { rows: 13, cols: 33, vocab: 100, labels: "all skipped" },
  { rows: 17, cols: 31, vocab: 64 },
  { rows: 33, cols: 100, vocab: 333 },
  { rows: 64, cols: 17, vocab: 31, softCap: 3 },
  { rows: 7, cols: 16, vocab: 5000 },
  { rows: 100, cols: 13, vocab: 33, softCap: 30 },
  { rows: 600, cols: 8, vocab: 17 },
];

/** dtypes of hidden states and weight; whether products take bf16 factors. */
export const HEAD_TYPES: readonly [hidden: DType, weight: DType, bf16: boolean][] = [
  ["f32", "f32", false],
  ["bf16", "bf16", false],
  ["f32", "bf16", false],
  ["f32", "f16", false],
  ["bf16", "bf16", true],
  ["f32", "bf16", true],
];

export function headInputs(random: Random, choice: HeadChoice, hiddenType: DType, weightType: DType, bf16: boolean) {
  const { rows, cols, vocab, labels: kind, softCap = 0 } = choice;
  const store = rows % 2 === 1 ? mapped : floats; // a frozen head lies in its file
  const skip = (): boolean => kind === "all skipped" || (kind !== "all kept" && random.uniform() < 0.3);
  const labels = Array.from({ length: rows }, () => (skip() ? -100 : random.below(vocab)));
  return {
    name: `(${rows}, ${cols}) over ${vocab}, ${hiddenType} x ${weightType}${kind === undefined ? "" : `, ${kind}`}${softCap ? `, cap ${softCap}` : ""}${bf16 ? ", in bf16" : ""}`,
    buffers: {
      hidden: floats(random.normals(rows * cols), hiddenType),
      weight: store(random.normals(vocab * cols, 1 / Math.sqrt(cols)), weightType),
      labels: ints(labels),
    },
    // The log-sum-exp of a skipped row means nothing.
    open: new Set(labels.flatMap((label, row) => (label === -100 ? [row] : []))),
    shape: { rows, cols, vocab, softCap, compute: bf16 ? 1 : 0 },
  };
}
