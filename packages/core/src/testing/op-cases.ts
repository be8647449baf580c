/** Small problems for every differentiable op, from which the shared tests check gradients and compare backends. */
import type { Backend } from "../backends/backend.js";
import type * as Ops from "../ops/index.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import { seededRandom } from "../numeric/seeded-random.js";

/** Where a case runs, and the ops that it calls: a test may have put something around them. */
export interface Bench {
  readonly backend: Backend;
  readonly ops: typeof Ops;
}

export interface OpCase {
  readonly op: keyof typeof Ops;
  readonly name: string;
  /** Shapes of the inputs that are differentiated, filled at random. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly run: (parameters: Readonly<Record<string, Tensor>>, bench: Bench) => Tensor;
}

const ints = (backend: Backend, values: readonly number[]): Tensor =>
  tensor(backend, Int32Array.from(values), [values.length]);

function constant(backend: Backend, seed: number, shape: readonly number[]): Tensor {
  const random = seededRandom(seed);
  return tensor(
    backend,
    Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * random() - 1),
    shape,
  );
}

const attend =
  (extra: Partial<Ops.AttentionOptions>, heads: number, kvHeads: number, slopes?: boolean): OpCase["run"] =>
  (p, { backend, ops }) =>
    ops.attention(p["q"] as Tensor, p["k"] as Tensor, p["v"] as Tensor, {
      segments: ints(backend, [0, 4, 5, 7]),
      heads,
      kvHeads,
      dim: 3,
      compute: "f32",
      slopes: slopes
        ? tensor(
            backend,
            Float32Array.from({ length: heads }, (_, head) => 2 ** -(head + 1)),
            [heads],
          )
        : undefined,
      ...extra,
    });

export const opCases: readonly OpCase[] = [
  {
    op: "add",
    name: "two branches of one input",
    parameters: { x: [3, 5] },
    run: (p, { ops }) => twice(ops, p["x"] as Tensor),
  },
  { op: "sum", name: "scaled", parameters: { x: [3, 5] }, run: (p, { ops }) => ops.sum(p["x"] as Tensor, 0.37) },
  {
    op: "activation",
    name: "silu gated",
    parameters: { x: [6, 4], up: [6, 4] },
    run: (p, { ops }) => ops.activation(p["x"] as Tensor, "silu", p["up"]),
  },
  {
    op: "activation",
    name: "gelu_tanh",
    parameters: { x: [6, 4] },
    run: (p, { ops }) => ops.activation(p["x"] as Tensor, "gelu_tanh"),
  },
  {
    op: "activation",
    name: "gelu",
    parameters: { x: [6, 4] },
    run: (p, { ops }) => ops.activation(p["x"] as Tensor, "gelu"),
  },
  {
    op: "embedding",
    name: "repeated ids",
    parameters: { table: [6, 4] },
    run: (p, { backend: b, ops }) => ops.embedding(p["table"] as Tensor, ints(b, [1, 5, 1, 0]), { factor: 1.5 }),
  },
  {
    op: "rmsNorm",
    name: "plain",
    parameters: { x: [7, 5], weight: [5] },
    run: (p, { ops }) => ops.rmsNorm(p["x"] as Tensor, p["weight"] as Tensor, { eps: 1e-5 })[0],
  },
  {
    op: "rmsNorm",
    name: "weights stored less one",
    parameters: { x: [7, 5], weight: [5] },
    run: (p, { ops }) => ops.rmsNorm(p["x"] as Tensor, p["weight"] as Tensor, { eps: 1e-5, offset: 1 })[0],
  },
  {
    op: "layerNorm",
    name: "with bias",
    parameters: { x: [7, 5], weight: [5], bias: [5] },
    run: (p, { ops }) => ops.layerNorm(p["x"] as Tensor, p["weight"] as Tensor, p["bias"], { eps: 1e-5 })[0],
  },
  {
    op: "rmsNorm",
    name: "heads normed apart and rotated",
    parameters: { x: [5, 6], weight: [3] },
    run: (p, { backend: b, ops }) =>
      ops.rope(
        ops.rmsNorm(p["x"] as Tensor, p["weight"] as Tensor, { eps: 1e-5 })[0],
        ops.ropeTable(ints(b, [0, 3, 1, 2, 5]), tensor(b, [0.7], [1])),
        2,
      ),
  },
  {
    op: "rmsNorm",
    name: "beside a residual connection",
    parameters: { x: [7, 5], weight: [5] },
    run: (p, { ops }) => ops.add(...ops.rmsNorm(p["x"] as Tensor, p["weight"] as Tensor, { eps: 1e-5 })),
  },
  {
    op: "layerNorm",
    name: "beside a residual connection",
    parameters: { x: [7, 5], weight: [5], bias: [5] },
    run: (p, { ops }) => ops.add(...ops.layerNorm(p["x"] as Tensor, p["weight"] as Tensor, p["bias"], { eps: 1e-5 })),
  },
  {
    op: "linear",
    name: "two projections, bias, one with an adapter",
    parameters: { x: [3, 5], w: [4, 5], bias: [4], v: [2, 5], a: [2, 5], b: [4, 2] },
    run: (p, { ops }) => {
      const [y, z] = ops.linear(
        p["x"] as Tensor,
        [
          {
            weight: p["w"] as Tensor,
            bias: p["bias"],
            loras: [{ a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 1.7 }],
          },
          { weight: p["v"] as Tensor },
        ],
        "f32",
      ) as [Tensor, Tensor];
      return ops.add(ops.sum(y, 0.6), ops.sum(z, -0.8));
    },
  },
  {
    op: "linear",
    name: "a weight stored (in, out), with an adapter",
    parameters: { x: [3, 5], w: [5, 4], bias: [4], a: [2, 5], b: [4, 2] },
    run: (p, { ops }) =>
      ops.linear(
        p["x"] as Tensor,
        [
          {
            weight: p["w"] as Tensor,
            fanInFanOut: true,
            bias: p["bias"],
            loras: [{ a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 0.7 }],
          },
        ],
        "f32",
      )[0] as Tensor,
  },
  {
    op: "linear",
    name: "an adapter with dropout",
    parameters: { x: [5, 6], a: [2, 6], b: [4, 2] },
    run: (p, { backend, ops }) => {
      const dropout = { p: 0.4, seed: 7, step: 3, microStep: 1, site: 2 };
      return ops.linear(
        p["x"] as Tensor,
        [
          {
            weight: constant(backend, 5, [4, 6]),
            loras: [{ a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 0.9, dropout }],
          },
        ],
        "f32",
      )[0] as Tensor;
    },
  },
  {
    op: "linear",
    name: "two adapters of different ranks on one projection, one with dropout",
    parameters: { x: [3, 6], w: [4, 6], a: [2, 6], b: [4, 2], c: [1, 6], d: [4, 1] },
    run: (p, { ops }) => {
      const dropout = { p: 0.3, seed: 7, step: 3, microStep: 1, site: 2 };
      const loras = [
        { a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 0.9, dropout },
        { a: p["c"] as Tensor, b: p["d"] as Tensor, scale: -1.3 },
      ];
      return ops.linear(p["x"] as Tensor, [{ weight: p["w"] as Tensor, loras }], "f32")[0] as Tensor;
    },
  },
  {
    op: "takeRows",
    name: "one row twice, one not at all",
    parameters: { x: [4, 3] },
    run: (p, { backend, ops }) => ops.takeRows(p["x"] as Tensor, ints(backend, [3, 0, 3, 1])),
  },
  {
    op: "rope",
    name: "two heads, one passed through in part",
    parameters: { x: [4, 10] },
    run: (p, { backend: b, ops }) =>
      ops.rope(p["x"] as Tensor, ops.ropeTable(ints(b, [0, 1, 2, 9]), tensor(b, [1, 0.1], [2])), 2),
  },
  {
    op: "ropeTable",
    name: "is constant: rotating by it differentiates x",
    parameters: { x: [3, 4] },
    run: (p, { backend: b, ops }) =>
      ops.rope(p["x"] as Tensor, ops.ropeTable(ints(b, [3, 1, 2]), tensor(b, [1, 0.1], [2]), 1.2), 1),
  },
  {
    op: "attention",
    name: "grouped queries, three sequences",
    parameters: { q: [7, 12], k: [7, 6], v: [7, 6] },
    run: attend({}, 4, 2),
  },
  {
    op: "attention",
    name: "a window and a soft cap",
    parameters: { q: [7, 6], k: [7, 6], v: [7, 6] },
    run: attend({ window: 2, softCap: 1.5, scale: 0.9 }, 2, 2),
  },
  {
    op: "attentionPacked",
    name: "alibi on interleaved heads",
    parameters: { qkv: [5, 18] },
    run: (p, { backend, ops }) =>
      ops.attentionPacked(p["qkv"] as Tensor, "by head", {
        segments: ints(backend, [0, 2, 5]),
        heads: 2,
        kvHeads: 2,
        dim: 3,
        compute: "f32",
        slopes: tensor(backend, [0.5, 0.25], [2]),
      }),
  },
  {
    op: "attentionPacked",
    name: "queries, keys and values one after the other",
    parameters: { qkv: [5, 18] },
    run: (p, { backend, ops }) =>
      ops.attentionPacked(p["qkv"] as Tensor, "by part", {
        segments: ints(backend, [0, 2, 5]),
        heads: 2,
        kvHeads: 2,
        dim: 3,
        compute: "f32",
      }),
  },
  {
    op: "linearCrossEntropy",
    name: "a trained head, ignored labels",
    parameters: { h: [5, 4], w: [9, 4] },
    run: (p, { backend: b, ops }) =>
      ops.linearCrossEntropy(p["h"] as Tensor, p["w"] as Tensor, ints(b, [3, -100, 8, 0, 3]), { compute: "f32" }).nll,
  },
  {
    op: "linearCrossEntropy",
    name: "soft-capped logits",
    parameters: { h: [5, 4], w: [9, 4] },
    run: (p, { backend: b, ops }) =>
      ops.linearCrossEntropy(p["h"] as Tensor, p["w"] as Tensor, ints(b, [3, 1, 8, 0, 3]), {
        compute: "f32",
        softCap: 0.7,
      }).nll,
  },
];

function twice(ops: Bench["ops"], x: Tensor): Tensor {
  return ops.add(x, ops.add(x, x));
}
