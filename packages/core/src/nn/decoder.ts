/**
 * The one decoder behind every family: norm, attention, norm, MLP, with two residual additions, on a ragged batch of
 * tokens. A family file says which pieces it has and what its modules are called.
 */
import type { Backend } from "../backends/backend.js";
import type { Activation } from "../backends/kernels.js";
import {
  activation,
  add,
  attention,
  attentionPacked,
  embedding,
  layerNorm,
  linear,
  rmsNorm,
  rope,
  ropeTable,
  type Compute,
  type DropoutDraw,
  type LoraFactors,
  type Projection,
} from "../ops/index.js";
import { checkpoint } from "../tensor/autograd.js";
import type { DType } from "../tensor/dtype.js";
import { scope } from "../tensor/scope.js";
import { tensor, type Tensor } from "../tensor/tensor.js";

/** A linear module below a layer: its name, output and input width, and whether it has a bias. */
export interface LinearModule {
  readonly name: string;
  readonly out: number;
  readonly in: number;
  readonly bias: boolean;
}

export interface DecoderOptions {
  readonly hiddenSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly vocabSize: number;
  /** Longest sequence the positions allow; undefined where there is no limit (ALiBi). */
  readonly maxPositions: number | undefined;
  readonly tieWordEmbeddings: boolean;
  readonly norm: { readonly kind: "rms" | "layer"; readonly eps: number };
  readonly positions:
    { readonly kind: "rope"; readonly invFreq: Float32Array; readonly factor: number } | { readonly kind: "alibi" };
  readonly activation: Activation;
  /** Full names of the modules outside the layers, and the prefix that published base-model files leave out. */
  readonly names: {
    readonly basePrefix: string;
    readonly embedding: string;
    readonly embeddingNorm?: string;
    readonly layers: string;
    readonly finalNorm: string;
    readonly head: string;
  };
  /** Names below `${names.layers}.${index}.`. */
  readonly inputNorm: string;
  readonly postAttentionNorm: string;
  readonly attention:
    | { readonly packed: LinearModule }
    | { readonly q: LinearModule; readonly k: LinearModule; readonly v: LinearModule };
  readonly attentionOutput: LinearModule;
  readonly mlp: { readonly gate?: LinearModule; readonly up: LinearModule; readonly down: LinearModule };
}

/** What the decoder reads its weights from. */
export interface DecoderWeights {
  /** A tensor by its full Hugging Face name. */
  weight(name: string): Tensor;
  /** The adapter on a linear module, if it has one. */
  lora(module: string): Omit<LoraFactors, "dropout"> | undefined;
}

/** Sequences of one micro-batch, end to end, without padding. */
export interface Batch {
  /** (tokens) */
  readonly ids: Int32Array;
  /** (tokens), position of each token in its sequence */
  readonly positions: Int32Array;
  /** (sequences + 1), first token of each sequence, then the number of tokens */
  readonly segments: Int32Array;
  /** (tokens), the id that each token must predict, or -100 */
  readonly labels: Int32Array;
}

export interface ForwardOptions {
  readonly backend: Backend;
  readonly compute: Compute;
  /** That many layers, from the first on, are recomputed in the backward pass instead of keeping what they computed. */
  readonly recomputedLayers?: number;
  /** Where dropout masks are drawn, while training with dropout. */
  readonly dropout?: Omit<DropoutDraw, "site"> | undefined;
}

/**
 * Runs the decoder.
 * @returns hidden states after the final norm, (tokens, hidden), in the compute dtype
 */
export function decoderForward(
  options: DecoderOptions,
  weights: DecoderWeights,
  batch: Batch,
  run: ForwardOptions,
): Tensor {
  return scope(() => {
    const { backend, compute } = run;
    const dtype: DType = compute;
    const { names } = options;
    const ids = tensor(backend, batch.ids, [batch.ids.length]);
    const site = siteNumbers(options);

    const project = (x: Tensor, prefix: string, modules: readonly LinearModule[], dtype?: DType): Tensor[] => {
      const projections = modules.map((module): Projection => {
        const name = `${prefix}.${module.name}`;
        const lora = weights.lora(name);
        const dropout = run.dropout && { ...run.dropout, site: site(name) };
        return {
          weight: weights.weight(`${name}.weight`),
          bias: module.bias ? weights.weight(`${name}.bias`) : undefined,
          lora: lora && { ...lora, dropout },
          dtype,
        };
      });
      return linear(x, projections, compute);
    };
    const norm = (x: Tensor, name: string, dtype: DType): [normed: Tensor, x: Tensor] => {
      const weight = weights.weight(`${name}.weight`);
      const { kind, eps } = options.norm;
      return kind === "rms"
        ? rmsNorm(x, weight, { eps, dtype })
        : layerNorm(x, weight, weights.weight(`${name}.bias`), { eps, dtype });
    };

    const constants = attentionConstants(options, batch, backend);
    const layer = (x: Tensor, constants: AttentionConstants, prefix: string): Tensor => {
      const attended = scope(() => {
        const [normed, residual] = norm(x, `${prefix}.${options.inputNorm}`, dtype);
        const modules =
          "packed" in options.attention
            ? [options.attention.packed]
            : [options.attention.q, options.attention.k, options.attention.v];
        const heads = attend(options, constants, project(normed, prefix, modules), compute);
        return add(residual, only(project(heads, prefix, [options.attentionOutput], "f32")));
      });
      return scope(() => {
        const [normed, residual] = norm(attended, `${prefix}.${options.postAttentionNorm}`, dtype);
        const { gate, up, down } = options.mlp;
        const [first, second] = project(normed, prefix, gate === undefined ? [up] : [gate, up]);
        const activated = activation(first as Tensor, options.activation, second);
        return add(residual, only(project(activated, prefix, [down], "f32")));
      });
    };

    let x = embedding(weights.weight(`${names.embedding}.weight`), ids, { dtype: "f32" });
    if (names.embeddingNorm !== undefined) [x] = norm(x, names.embeddingNorm, "f32");
    for (let index = 0; index < options.layers; index++) {
      const body = (x: Tensor, constants: AttentionConstants) => layer(x, constants, `${names.layers}.${index}`);
      const next = index < (run.recomputedLayers ?? 0) ? checkpoint(x, constants, body) : body(x, constants);
      x.dispose();
      x = next;
    }
    return norm(x, names.finalNorm, dtype)[0];
  });
}

/** What attention needs beside its projections, the same in every layer. */
type AttentionConstants = {
  readonly segments: Tensor;
  readonly slopes: Tensor | undefined;
  readonly table: Tensor | undefined;
};

function attentionConstants({ heads, positions }: DecoderOptions, batch: Batch, backend: Backend): AttentionConstants {
  const ints = (data: Int32Array) => tensor(backend, data, [data.length]);
  const floats = (data: Float32Array) => tensor(backend, data, [data.length]);
  const rotary =
    positions.kind === "rope"
      ? ropeTable(ints(batch.positions), floats(positions.invFreq), positions.factor)
      : undefined;
  const slopes = positions.kind === "alibi" ? floats(alibiSlopes(heads)) : undefined;
  return { segments: ints(batch.segments), slopes, table: rotary };
}

/** Attention on one packed projection, or on queries, keys and values. */
function attend(
  { heads, kvHeads, headDim: dim }: DecoderOptions,
  { segments, slopes, table }: AttentionConstants,
  [first, k, v]: readonly Tensor[],
  compute: Compute,
): Tensor {
  const shape = { segments, slopes, heads, kvHeads, dim, compute };
  const rotate = (x: Tensor, heads: number) => (table === undefined ? x : rope(x, table, heads));
  if (k === undefined || v === undefined) return attentionPacked(first as Tensor, shape);
  return attention(rotate(first as Tensor, heads), rotate(k, kvHeads), v, shape);
}

/** ALiBi slopes for any number of heads, as Bloom computes them. */
export function alibiSlopes(heads: number): Float32Array {
  const power = 2 ** Math.floor(Math.log2(heads));
  const series = (count: number, start: number, step: number): number[] =>
    Array.from({ length: count }, (_, index) => start ** (1 + index * step));
  const slopes = series(power, 2 ** -(2 ** -(Math.log2(power) - 3)), 1);
  if (power < heads) slopes.push(...series(heads - power, 2 ** -(2 ** -(Math.log2(2 * power) - 3)), 2));
  return Float32Array.from(slopes);
}

/** Every linear module of the layers in the order of the forward pass. */
export function layerLinears(options: DecoderOptions): LinearModule[] {
  const { attention, attentionOutput, mlp } = options;
  const inputs = "packed" in attention ? [attention.packed] : [attention.q, attention.k, attention.v];
  return [...inputs, attentionOutput, ...(mlp.gate === undefined ? [] : [mlp.gate]), mlp.up, mlp.down];
}

/** Numbers linear modules through the model, so that each draws its own dropout masks. */
function siteNumbers(options: DecoderOptions): (name: string) => number {
  const names = layerLinears(options).map((module) => module.name);
  return (name) => {
    const [index, ...rest] = name.slice(options.names.layers.length + 1).split(".");
    return Number(index) * names.length + names.indexOf(rest.join("."));
  };
}

function only(tensors: readonly Tensor[]): Tensor {
  return tensors[0] as Tensor;
}
