/** Small problems for every differentiable op, from which the shared tests check gradients and compare backends. */
import type { Backend } from "../backends/backend.js";
import * as ops from "../ops/index.js";
import { tensor, type Parameter, type Tensor } from "../tensor/tensor.js";
import { seededRandom } from "../numeric/seeded-random.js";

export interface OpCase {
  readonly op: keyof typeof ops;
  readonly name: string;
  /** Shapes of the inputs that are differentiated, filled at random. */
  readonly parameters: Readonly<Record<string, readonly number[]>>;
  readonly run: (parameters: Readonly<Record<string, Parameter>>, backend: Backend) => Tensor;
}

/** A parameter (cols, rows) as an activation (rows, cols), so that its gradient flows through the graph: I x^T. */
function act(parameter: Tensor): Tensor {
  const rows = parameter.shape[1] as number;
  return ops.linear(tensor(parameter.backend, eye(rows), [rows, rows]), [{ weight: parameter }], "f32")[0] as Tensor;
}

function eye(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, index) => (index % (size + 1) === 0 ? 1 : 0));
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
  (extra: Partial<ops.AttentionOptions>, heads: number, kvHeads: number, slopes?: boolean): OpCase["run"] =>
  (p, backend) =>
    ops.attention(act(p["q"] as Tensor), act(p["k"] as Tensor), act(p["v"] as Tensor), {
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
  { op: "add", name: "two branches of one input", parameters: { x: [5, 3] }, run: (p) => twice(act(p["x"] as Tensor)) },
  { op: "sum", name: "scaled", parameters: { x: [5, 3] }, run: (p) => ops.sum(act(p["x"] as Tensor), 0.37) },
  {
    op: "activation",
    name: "silu gated",
    parameters: { x: [4, 6], up: [4, 6] },
    run: (p) => ops.activation(act(p["x"] as Tensor), "silu", act(p["up"] as Tensor)),
  },
  {
    op: "activation",
    name: "gelu_tanh",
    parameters: { x: [4, 6] },
    run: (p) => ops.activation(act(p["x"] as Tensor), "gelu_tanh"),
  },
  {
    op: "activation",
    name: "gelu",
    parameters: { x: [4, 6] },
    run: (p) => ops.activation(act(p["x"] as Tensor), "gelu"),
  },
  {
    op: "embedding",
    name: "repeated ids",
    parameters: { table: [6, 4] },
    run: (p, b) => ops.embedding(p["table"] as Tensor, ints(b, [1, 5, 1, 0]), { factor: 1.5 }),
  },
  {
    op: "rmsNorm",
    name: "plain",
    parameters: { x: [5, 7], weight: [5] },
    run: (p) => ops.rmsNorm(act(p["x"] as Tensor), p["weight"] as Tensor, { eps: 1e-5 })[0],
  },
  {
    op: "rmsNorm",
    name: "weights stored less one",
    parameters: { x: [5, 7], weight: [5] },
    run: (p) => ops.rmsNorm(act(p["x"] as Tensor), p["weight"] as Tensor, { eps: 1e-5, offset: 1 })[0],
  },
  {
    op: "layerNorm",
    name: "with bias",
    parameters: { x: [5, 7], weight: [5], bias: [5] },
    run: (p) => ops.layerNorm(act(p["x"] as Tensor), p["weight"] as Tensor, p["bias"], { eps: 1e-5 })[0],
  },
  {
    op: "rmsNorm",
    name: "heads normed apart and rotated",
    parameters: { x: [6, 5], weight: [3] },
    run: (p, b) =>
      ops.rope(
        ops.rmsNorm(act(p["x"] as Tensor), p["weight"] as Tensor, { eps: 1e-5 })[0],
        ops.ropeTable(ints(b, [0, 3, 1, 2, 5]), tensor(b, [0.7], [1])),
        2,
      ),
  },
  {
    op: "rmsNorm",
    name: "beside a residual connection",
    parameters: { x: [5, 7], weight: [5] },
    run: (p) => ops.add(...ops.rmsNorm(act(p["x"] as Tensor), p["weight"] as Tensor, { eps: 1e-5 })),
  },
  {
    op: "layerNorm",
    name: "beside a residual connection",
    parameters: { x: [5, 7], weight: [5], bias: [5] },
    run: (p) => ops.add(...ops.layerNorm(act(p["x"] as Tensor), p["weight"] as Tensor, p["bias"], { eps: 1e-5 })),
  },
  {
    op: "linear",
    name: "two projections, bias, one with an adapter",
    parameters: { x: [5, 3], w: [4, 5], bias: [4], v: [2, 5], a: [2, 5], b: [4, 2] },
    run: (p) => {
      const [y, z] = ops.linear(
        act(p["x"] as Tensor),
        [
          { weight: p["w"] as Tensor, bias: p["bias"], lora: { a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 1.7 } },
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
    parameters: { x: [5, 3], w: [5, 4], bias: [4], a: [2, 5], b: [4, 2] },
    run: (p) =>
      ops.linear(
        act(p["x"] as Tensor),
        [
          {
            weight: p["w"] as Tensor,
            fanInFanOut: true,
            bias: p["bias"],
            lora: { a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 0.7 },
          },
        ],
        "f32",
      )[0] as Tensor,
  },
  {
    op: "linear",
    name: "an adapter with dropout",
    parameters: { x: [6, 5], a: [2, 6], b: [4, 2] },
    run: (p, backend) => {
      const dropout = { p: 0.4, seed: 7, step: 3, microStep: 1, site: 2 };
      return ops.linear(
        act(p["x"] as Tensor),
        [
          {
            weight: constant(backend, 5, [4, 6]),
            lora: { a: p["a"] as Tensor, b: p["b"] as Tensor, scale: 0.9, dropout },
          },
        ],
        "f32",
      )[0] as Tensor;
    },
  },
  {
    op: "rope",
    name: "two heads, one passed through in part",
    parameters: { x: [10, 4] },
    run: (p, b) => ops.rope(act(p["x"] as Tensor), ops.ropeTable(ints(b, [0, 1, 2, 9]), tensor(b, [1, 0.1], [2])), 2),
  },
  {
    op: "ropeTable",
    name: "is constant: rotating by it differentiates x",
    parameters: { x: [4, 3] },
    run: (p, b) => ops.rope(act(p["x"] as Tensor), ops.ropeTable(ints(b, [3, 1, 2]), tensor(b, [1, 0.1], [2]), 1.2), 1),
  },
  {
    op: "attention",
    name: "grouped queries, three sequences",
    parameters: { q: [12, 7], k: [6, 7], v: [6, 7] },
    run: attend({}, 4, 2),
  },
  {
    op: "attention",
    name: "a window and a soft cap",
    parameters: { q: [6, 7], k: [6, 7], v: [6, 7] },
    run: attend({ window: 2, softCap: 1.5, scale: 0.9 }, 2, 2),
  },
  {
    op: "attentionPacked",
    name: "alibi on interleaved heads",
    parameters: { qkv: [18, 5] },
    run: (p, backend) =>
      ops.attentionPacked(act(p["qkv"] as Tensor), "by head", {
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
    parameters: { qkv: [18, 5] },
    run: (p, backend) =>
      ops.attentionPacked(act(p["qkv"] as Tensor), "by part", {
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
    parameters: { h: [4, 5], w: [9, 4] },
    run: (p, b) =>
      ops.linearCrossEntropy(act(p["h"] as Tensor), p["w"] as Tensor, ints(b, [3, -100, 8, 0, 3]), { compute: "f32" })
        .nll,
  },
  {
    op: "linearCrossEntropy",
    name: "soft-capped logits",
    parameters: { h: [4, 5], w: [9, 4] },
    run: (p, b) =>
      ops.linearCrossEntropy(act(p["h"] as Tensor), p["w"] as Tensor, ints(b, [3, 1, 8, 0, 3]), {
        compute: "f32",
        softCap: 0.7,
      }).nll,
  },
];

function twice(x: Tensor): Tensor {
  return ops.add(x, ops.add(x, x));
}
