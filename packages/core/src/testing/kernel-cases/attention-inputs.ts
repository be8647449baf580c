/** What attention and its gradient are given. */
import type { View } from "../../backends/kernels.js";
import type { DType } from "../../numeric/dtype.js";
import type { Random } from "../random.js";
import { floats, ints, type CaseBuffer, type ViewOf } from "./case.js";

interface AttentionChoice {
  lengths: readonly number[];
  heads: number;
  kvHeads: number;
  dim: number;
  /** separate: q, k, v apart; packed: Bloom's [head][query, key, value][dim]; fused: [query heads | key heads | value heads][dim]. */
  layout: "separate" | "packed" | "fused";
  alibi?: boolean;
  softCap?: number;
  window?: number;
  /** Standard deviation of q; scores grow with it. */
  size?: number;
}

export const ATTENTION: readonly AttentionChoice[] = [
  { lengths: [0], heads: 2, kvHeads: 1, dim: 8, layout: "separate" },
  { lengths: [1], heads: 1, kvHeads: 1, dim: 1, layout: "separate" },
  { lengths: [1, 1, 1], heads: 3, kvHeads: 3, dim: 7, layout: "separate" },
  { lengths: [13], heads: 4, kvHeads: 2, dim: 16, layout: "separate" },
  { lengths: [5, 1, 33], heads: 6, kvHeads: 2, dim: 33, layout: "fused" },
  { lengths: [64, 1, 2], heads: 14, kvHeads: 2, dim: 64, layout: "separate" },
  { lengths: [100], heads: 2, kvHeads: 1, dim: 128, layout: "separate" },
  { lengths: [31, 17], heads: 3, kvHeads: 3, dim: 80, layout: "fused" },
  { lengths: [2, 0, 3], heads: 2, kvHeads: 2, dim: 3, layout: "separate" },
  { lengths: [17, 1], heads: 4, kvHeads: 4, dim: 16, layout: "packed", alibi: true },
  { lengths: [100], heads: 2, kvHeads: 2, dim: 64, layout: "packed", alibi: true },
  { lengths: [7, 64], heads: 2, kvHeads: 2, dim: 31, layout: "packed" },
  { lengths: [33, 13], heads: 4, kvHeads: 2, dim: 17, layout: "separate", window: 1 },
  { lengths: [33, 13], heads: 4, kvHeads: 2, dim: 32, layout: "separate", window: 4 },
  { lengths: [100, 31], heads: 2, kvHeads: 1, dim: 64, layout: "fused", window: 40 },
  { lengths: [33, 2], heads: 4, kvHeads: 2, dim: 16, layout: "separate", softCap: 2 },
  { lengths: [260, 40], heads: 4, kvHeads: 2, dim: 12, layout: "separate", softCap: 5, window: 66 },
  { lengths: [64], heads: 2, kvHeads: 2, dim: 64, layout: "separate", softCap: 50, window: 17, alibi: true, size: 8 },
  { lengths: [100], heads: 2, kvHeads: 1, dim: 16, layout: "separate", size: 10 },
  { lengths: [300], heads: 1, kvHeads: 1, dim: 8, layout: "separate" },
];

/** dtypes of q, k, v; of the output and its gradient; whether products take bf16 factors. */
export const ATTENTION_TYPES: readonly [qkv: DType, out: DType, bf16: boolean][] = [
  ["f32", "f32", false],
  ["bf16", "bf16", false],
  ["bf16", "f32", false],
  ["bf16", "bf16", true],
];

/** Inputs and arguments that attention and its gradient share; `part` places q, k and v in their buffers. */
export function attentionInputs(random: Random, choice: AttentionChoice, qkv: DType, bf16: boolean) {
  const { lengths, heads, kvHeads, dim, layout, alibi = false, softCap = 0, window = 0, size = 1 } = choice;
  const rows = lengths.reduce((total, length) => total + length, 0);
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  const width = (heads + 2 * kvHeads) * dim;
  const layouts = {
    separate: {
      qStride: heads * dim,
      qHead: dim,
      kStride: kvHeads * dim,
      kHead: dim,
      vStride: kvHeads * dim,
      vHead: dim,
    },
    packed: { qStride: width, qHead: 3 * dim, kStride: width, kHead: 3 * dim, vStride: width, vHead: 3 * dim },
    fused: { qStride: width, qHead: dim, kStride: width, kHead: dim, vStride: width, vHead: dim },
  };
  const sizes: Record<string, number> =
    layout === "separate"
      ? { q: rows * heads * dim, k: rows * kvHeads * dim, v: rows * kvHeads * dim }
      : { qkv: rows * width };
  const place = { separate: [0, 0, 0], packed: [0, dim, 2 * dim], fused: [0, heads * dim, (heads + kvHeads) * dim] }[
    layout
  ];
  const buffers: Record<string, CaseBuffer> = { segments: ints(offsets) };
  for (const [name, count] of Object.entries(sizes))
    buffers[name] = floats(random.normals(count, name === "q" ? size : 1), qkv);
  if (alibi) buffers["slopes"] = floats(Array.from({ length: heads }, (_, h) => 2 ** (-h - 1)));
  const part = (view: ViewOf, prefix = ""): { q: View; k: View; v: View } => {
    // No rows: a view past the end of an empty buffer would be no view at all.
    const at = (index: number, name: string) =>
      view(prefix + (layout === "separate" ? name : "qkv"), rows === 0 ? 0 : place[index]);
    return { q: at(0, "q"), k: at(1, "k"), v: at(2, "v") };
  };
  const args = (view: ViewOf) => ({
    ...part(view),
    ...layouts[layout],
    segments: view("segments"),
    slopes: alibi ? view("slopes") : undefined,
    segmentCount: lengths.length,
    rows,
    heads,
    kvHeads,
    dim,
    scale: 1 / Math.sqrt(dim),
    softCap,
    window,
    compute: bf16 ? 1 : 0,
  });
  const options = [
    alibi ? "ALiBi" : "",
    softCap ? `cap ${softCap}` : "",
    window ? `window ${window}` : "",
    size > 1 ? "large scores" : "",
    bf16 ? "in bf16" : "",
  ];
  const name = [
    `segments ${lengths.join("+")}, ${heads}/${kvHeads} heads of ${dim}, ${layout} ${qkv}`,
    ...options.filter((o) => o !== ""),
  ].join(", ");
  return { name, rows, buffers, sizes, part, args };
}
