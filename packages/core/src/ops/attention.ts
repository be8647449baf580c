import { record } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape, rowsOf, ShapeError } from "./rows.js";

/** Precision of a product's factors; sums are always f32. */
export type Compute = "f32" | "bf16";

export interface AttentionOptions {
  /** Token offsets of the sequences in the batch, i32: first 0, last the number of tokens. No token sees another sequence. */
  readonly segments: Tensor;
  readonly heads: number;
  /** Key and value heads; `heads` is a multiple of it (Ainslie et al. 2023, arXiv:2305.13245). */
  readonly kvHeads: number;
  readonly dim: number;
  readonly compute: Compute;
  /** Default 1 / sqrt(dim). */
  readonly scale?: number;
  /** (heads) f32: ALiBi (Press et al. 2021, arXiv:2108.12409). */
  readonly slopes?: Tensor | undefined;
  /** A key is seen only if query - key < window. 0 (default) sees all before. */
  readonly window?: number;
  readonly softCap?: number;
}

/**
 * Causal attention. Nothing but the log-sum-exp is kept of the scores (Dao et al. 2022, arXiv:2205.14135).
 * @param q (tokens, heads * dim), k and v (tokens, kvHeads * dim)
 * @returns (tokens, heads * dim)
 */
export const attention = op("attention", (q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions): Tensor => {
  const { heads, kvHeads, dim } = options;
  const [rows] = rowsOf(q);
  expectShape(q, [rows, heads * dim], "q");
  expectShape(k, [rows, kvHeads * dim], "k");
  expectShape(v, [rows, kvHeads * dim], "v");
  const layout = {
    qStride: heads * dim,
    kStride: kvHeads * dim,
    vStride: kvHeads * dim,
    qHead: dim,
    kHead: dim,
    vHead: dim,
  };
  return attend(options, layout, [q, k, v] as const, ([q, k, v]) => ({ q, k, v }));
});

/** How one projection holds queries, keys and values: [head][query, key, value][dim] (Bloom) or [query, key, value][head][dim] (GPT-2). */
export type Packing = "by head" | "by part";

/**
 * The same on one projection.
 * @param qkv (tokens, 3 * heads * dim)
 */
export const attentionPacked = op(
  "attentionPacked",
  (qkv: Tensor, packing: Packing, options: AttentionOptions): Tensor => {
    const { heads, dim } = options;
    const [rows] = rowsOf(qkv, "qkv");
    expectShape(qkv, [rows, 3 * heads * dim], "qkv");
    const stride = 3 * heads * dim;
    const [head, next] = packing === "by head" ? [3 * dim, dim] : [dim, heads * dim];
    const layout = { qStride: stride, kStride: stride, vStride: stride, qHead: head, kHead: head, vHead: head };
    const part = (x: Tensor, index: number) => x.view([x.size - index * next], index * next);
    return attend(options, layout, [qkv] as const, ([x]) => ({ q: part(x, 0), k: part(x, 1), v: part(x, 2) }));
  },
);

interface Layout {
  qStride: number;
  qHead: number;
  kStride: number;
  kHead: number;
  vStride: number;
  vHead: number;
}

/** `parts` finds q, k and v in the inputs, and their gradients in tensors of the inputs' shapes. */
function attend<I extends readonly Tensor[]>(
  options: AttentionOptions,
  layout: Layout,
  inputs: I,
  parts: (inputs: I) => { q: Tensor; k: Tensor; v: Tensor },
): Tensor {
  const { heads, kvHeads, dim, segments, slopes } = options;
  const first = inputs[0] as Tensor;
  const rows = rowsOf(first)[0];
  const count = inputs.length;
  if (heads % kvHeads !== 0) throw new ShapeError(`${heads} query heads cannot share ${kvHeads} key heads evenly`);
  const args = {
    ...layout,
    segmentCount: segments.size - 1,
    rows,
    heads,
    kvHeads,
    dim,
    scale: options.scale ?? 1 / Math.sqrt(dim),
    softCap: options.softCap ?? 0,
    window: options.window ?? 0,
    compute: options.compute === "bf16" ? 1 : 0,
  };
  const out = empty(first.backend, [rows, heads * dim], first.dtype);
  const lse = empty(first.backend, [heads, rows], "f32");
  first.backend.kernels.attention({ out, lse, ...parts(inputs), segments, slopes, ...args });
  const save = [out, lse, segments, ...(slopes === undefined ? [] : [slopes]), ...inputs];
  record("attention", { inputs, constants: { segments, slopes } }, [out], save, ([dOut], saved) => {
    const [out, lse, segments] = saved as [Tensor, Tensor, Tensor];
    if (dOut === undefined) return [];
    const inputs = saved.slice(-count) as unknown as I;
    const gradients = inputs.map((x) => empty(x.backend, x.shape, x.dtype)) as unknown as I;
    const { q: dq, k: dk, v: dv } = parts(gradients);
    const bias = slopes === undefined ? undefined : saved[3];
    out.backend.kernels.attentionBackward({
      dq,
      dk,
      dv,
      dOut,
      out,
      lse,
      ...parts(inputs),
      segments,
      slopes: bias,
      ...args,
    });
    return gradients;
  });
  return out;
}
