/**
 * The one decoder behind every family: norm, attention, norm, MLP, with two residual additions, on a ragged batch of
 * tokens. A family file says which pieces it has and what its modules are called; a piece that it leaves out is not there.
 */
import type { Backend } from "../backends/backend.js";
import type { Batch } from "../data/packing/batch.js";
import type { Activation } from "../backends/kernels.js";
import {
  activation,
  add,
  attention,
  attentionCached,
  attentionPacked,
  cacheRows,
  embedding,
  layerNorm,
  linear,
  packedHeads,
  rmsNorm,
  rope,
  ropeTable,
  type AttentionOptions,
  type Compute,
  type DropoutDraw,
  type HeadView,
  type KeyValues,
  type LoraFactors,
  type Packing,
  type Projection,
} from "../ops/index.js";
import { checkpoint } from "../tensor/autograd.js";
import type { DType } from "../numeric/dtype.js";
import { scope } from "../tensor/scope.js";
import { tensor, type Tensor } from "../tensor/tensor.js";
import { embeddingNoise, type EmbeddingNoise } from "./embedding-noise.js";

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
  /** Longest sequence the positions allow; undefined where there is no limit (ALiBi, dynamic rotary scaling). */
  readonly maxPositions: number | undefined;
  readonly tieWordEmbeddings: boolean;
  /** `offset` is 1 where RMSNorm's weights are stored less one. */
  readonly norm: { readonly kind: "rms" | "layer"; readonly eps: number; readonly offset?: 0 | 1 };
  readonly positions:
    | ({ readonly kind: "rope" } & RotaryEmbedding)
    | { readonly kind: "alibi" }
    /** A table (count, hidden) added to the embeddings. */
    | { readonly kind: "learned"; readonly name: string; readonly count: number };
  readonly activation: Activation;
  /** Multiplies the embeddings, default 1. */
  readonly embeddingScale?: number;
  /** The id whose embedding gets no gradient, wherever it stands. */
  readonly padding?: number | undefined;
  /** Logits become cap * tanh(logits / cap). */
  readonly logitSoftCap?: number | undefined;
  /** Weights of the layers' linear modules are stored (in, out). */
  readonly fanInFanOut?: boolean;
  /** Full names of the modules outside the layers, and the prefix that published base-model files leave out. */
  readonly names: {
    readonly basePrefix: string;
    readonly embedding: string;
    readonly embeddingNorm?: string;
    readonly layers: string;
    readonly finalNorm: string;
    readonly head: string;
  };
  // Names of modules from here on are below `${names.layers}.${index}.`.
  readonly attentionNorm: HalfLayerNorm;
  readonly attention:
    | { readonly packed: LinearModule; readonly packing: Packing }
    | {
        readonly q: LinearModule;
        readonly k: LinearModule;
        readonly v: LinearModule;
        /** Norms of each head of the queries and of the keys, weights (headDim). */
        readonly qNorm?: string;
        readonly kNorm?: string;
      };
  readonly attentionOutput: LinearModule;
  readonly scores?: {
    /** Default 1 / sqrt(headDim). */
    readonly scale?: number | undefined;
    /** Scores become cap * tanh(score / cap). */
    readonly softCap?: number | undefined;
    /** How many keys a query of each layer sees, itself included; 0 is all before it, as in every layer by default. */
    readonly windows?: readonly number[] | undefined;
  };
  readonly mlpNorm: HalfLayerNorm;
  readonly mlp: { readonly gate?: LinearModule; readonly up: LinearModule; readonly down: LinearModule };
}

/** Norms around attention or the MLP: of what it takes from the residual stream, and of what it adds to it. */
export interface HalfLayerNorm {
  readonly before: string;
  readonly after?: string;
}

export interface RotaryEmbedding {
  /** Inverse frequencies (headDim / 2) for a batch whose longest sequence has so many tokens. */
  readonly frequencies: (longest: number) => Float32Array;
  /** Multiplies cosines and sines. */
  readonly factor: number;
}

/** What the decoder reads its weights from. */
export interface DecoderWeights {
  /** A tensor by its full Hugging Face name. */
  weight(name: string): Tensor;
  /** The adapters on a linear module. */
  loras(module: string): readonly Omit<LoraFactors, "dropout">[];
}

export interface ForwardOptions {
  readonly compute: Compute;
  /** That many layers, from the first on, are recomputed in the backward pass instead of keeping what they computed. */
  readonly recomputedLayers?: number;
  /** Where the dropout masks of trained adapters are drawn, while training with dropout. */
  readonly dropout?: Omit<DropoutDraw, "site"> | undefined;
}

/** A cache of keys and values, and where a pass's tokens belong in it. No gradient flows through it. */
export interface DecoderCache {
  /** Keys and values of one layer. */
  layer(index: number): KeyValues;
  /** (tokens) i32, the cached sequence of each token. The pass's positions are places in them. */
  readonly slots: Tensor;
}

/** Which keys and values the tokens of a pass see, each up to its own place. */
export type Context =
  /** Those of their sequence in the batch, (sequences + 1) i32 as in `Batch`; the cache, if any, gets them too. */
  | { readonly segments: Tensor; readonly cache?: DecoderCache | undefined }
  /** Those of their sequence in the cache, which first gets theirs. */
  | { readonly segments?: undefined; readonly cache: DecoderCache };

/**
 * What a pass reads of its tokens. These are tensors, which a pass cannot look into: which calls it makes depends on their
 * shapes alone, so its calls can be made again for other values.
 */
export interface PassInputs {
  /** (tokens) i32 */
  readonly ids: Tensor;
  /** (tokens) i32, place of each token in its sequence */
  readonly positions: Tensor;
  /** (headDim / 2) f32 where positions are rotary */
  readonly frequencies?: Tensor | undefined;
  /** (heads) f32 where positions are slopes of the scores (ALiBi) */
  readonly slopes?: Tensor | undefined;
  /** (tokens, hidden) f32, added to the embeddings */
  readonly noise?: Tensor | undefined;
  readonly context: Context;
}

/** What every part of a pass reads. */
interface Pass {
  readonly options: DecoderOptions;
  readonly weights: DecoderWeights;
  readonly run: ForwardOptions;
  readonly cache: DecoderCache | undefined;
  readonly positions: Tensor;
  /** Numbers the adapters of linear modules, so that each draws its own dropout masks. */
  readonly site: (name: string, adapter: number) => number;
}

/**
 * Runs the decoder.
 * @returns hidden states after the final norm, (tokens, hidden), in the compute dtype
 */
export function decoderForward(
  options: DecoderOptions,
  weights: DecoderWeights,
  inputs: PassInputs,
  run: ForwardOptions,
): Tensor {
  return scope(() => {
    const { positions, frequencies, slopes } = inputs;
    const { segments, cache } = inputs.context;
    const pass: Pass = { options, weights, run, cache, positions, site: siteNumbers(options) };
    const factor = options.positions.kind === "rope" ? options.positions.factor : undefined;
    const table = frequencies && ropeTable(positions, frequencies, factor);
    const constants: AttentionConstants = { segments, slopes, table };
    let x = scope(() => embed(pass, inputs));
    for (let index = 0; index < options.layers; index++) {
      const body = (x: Tensor, constants: AttentionConstants): Tensor =>
        scope(() =>
          mlpHalf(
            pass,
            scope(() => attentionHalf(pass, x, constants, index)),
            index,
          ),
        );
      const next = index < (run.recomputedLayers ?? 0) ? checkpoint(x, constants, body) : body(x, constants);
      x.dispose();
      x = next;
    }
    return norm(pass, x, options.names.finalNorm, run.compute)[0];
  });
}

/** @returns (tokens, hidden) */
function embed(pass: Pass, { ids, positions, noise }: PassInputs): Tensor {
  const { options, weights } = pass;
  const { names, embeddingScale: factor = 1, padding } = options;
  const clean = embedding(weights.weight(`${names.embedding}.weight`), ids, { factor, padding });
  const words = noise === undefined ? clean : add(clean, noise);
  const learned = options.positions.kind === "learned" ? options.positions.name : undefined;
  const placed = learned === undefined ? words : add(words, embedding(weights.weight(`${learned}.weight`), positions));
  return names.embeddingNorm === undefined ? placed : norm(pass, placed, names.embeddingNorm, "f32")[0];
}

function attentionHalf(pass: Pass, x: Tensor, constants: AttentionConstants, index: number): Tensor {
  const { options, run } = pass;
  const { segments, slopes, table } = constants;
  const prefix = `${options.names.layers}.${index}`;
  const [normed, residual] = norm(pass, x, `${prefix}.${options.attentionNorm.before}`, run.compute);
  const shape = { ...attentionShape(options, index), slopes, compute: run.compute };
  /** Attention on what the batch has or, once that has this too, on what the cache has. */
  const attend = (
    [q, k, v]: readonly [HeadView, HeadView, HeadView],
    inBatch: (options: AttentionOptions) => Tensor,
  ): Tensor => {
    if (pass.cache !== undefined) {
      const layer = pass.cache.layer(index);
      const places = { slots: pass.cache.slots, positions: pass.positions };
      cacheRows(layer.keys, k, places);
      cacheRows(layer.values, v, places);
      if (segments === undefined) return attentionCached(q, layer, places, shape);
    }
    return inBatch({ ...shape, segments: segments as Tensor });
  };
  const heads = scope(() => {
    if ("packed" in options.attention) {
      const { packed, packing } = options.attention;
      const qkv = only(project(pass, normed, prefix, [packed]));
      return attend(packedHeads(qkv, packing, shape), (options) => attentionPacked(qkv, packing, options));
    }
    const { qNorm, kNorm, ...modules } = options.attention;
    const projected = project(pass, normed, prefix, [modules.q, modules.k, modules.v]);
    const [queries, keys, v] = projected as [Tensor, Tensor, Tensor];
    const placed = (x: Tensor, heads: number, normName: string | undefined): Tensor => {
      const scaled = normName === undefined ? x : norm(pass, x, `${prefix}.${normName}`, run.compute)[0];
      return table === undefined ? scaled : rope(scaled, table, heads);
    };
    const [q, k] = [placed(queries, options.heads, qNorm), placed(keys, options.kvHeads, kNorm)];
    const heads = (x: Tensor): HeadView => ({ x, offset: 0, head: options.headDim, stride: x.shape[1] as number });
    return attend([heads(q), heads(k), heads(v)], (options) => attention(q, k, v, options));
  });
  return add(residual, output(pass, heads, prefix, options.attentionOutput, options.attentionNorm));
}

function mlpHalf(pass: Pass, x: Tensor, index: number): Tensor {
  const { options, run } = pass;
  const prefix = `${options.names.layers}.${index}`;
  const [normed, residual] = norm(pass, x, `${prefix}.${options.mlpNorm.before}`, run.compute);
  const { gate, up, down } = options.mlp;
  const [first, second] = project(pass, normed, prefix, gate === undefined ? [up] : [gate, up]);
  const activated = activation(first as Tensor, options.activation, second);
  return add(residual, output(pass, activated, prefix, down, options.mlpNorm));
}

/** What half a layer adds to the residual stream: its last projection, normed where the family says so. */
function output(pass: Pass, x: Tensor, prefix: string, module: LinearModule, { after }: HalfLayerNorm): Tensor {
  if (after === undefined) return only(project(pass, x, prefix, [module], "f32"));
  return norm(pass, only(project(pass, x, prefix, [module])), `${prefix}.${after}`, "f32")[0];
}

function project(
  { options, weights, run, site }: Pass,
  x: Tensor,
  prefix: string,
  modules: readonly LinearModule[],
  dtype?: DType,
): Tensor[] {
  const projections = modules.map((module): Projection => {
    const name = `${prefix}.${module.name}`;
    const loras = weights.loras(name).map((lora, adapter): LoraFactors => {
      const dropout = run.dropout !== undefined && lora.a.requiresGrad;
      return dropout ? { ...lora, dropout: { ...run.dropout, site: site(name, adapter) } } : lora;
    });
    return {
      weight: weights.weight(`${name}.weight`),
      fanInFanOut: options.fanInFanOut,
      bias: module.bias ? weights.weight(`${name}.bias`) : undefined,
      loras,
      dtype,
    };
  });
  return linear(x, projections, run.compute);
}

function norm({ options, weights }: Pass, x: Tensor, name: string, dtype: DType): [normed: Tensor, x: Tensor] {
  const weight = weights.weight(`${name}.weight`);
  const { kind, eps, offset = 0 } = options.norm;
  return kind === "rms"
    ? rmsNorm(x, weight, { eps, offset, dtype })
    : layerNorm(x, weight, weights.weight(`${name}.bias`), { eps, dtype });
}

/** Tensors that attention needs beside its projections, the same in every layer. */
type AttentionConstants = {
  readonly segments: Tensor | undefined;
  readonly slopes: Tensor | undefined;
  readonly table: Tensor | undefined;
};

/** What the inputs of a pass for these tokens hold, but for their context. */
export interface PassValues {
  readonly ids: Int32Array;
  readonly positions: Int32Array;
  readonly frequencies: Float32Array | undefined;
  readonly slopes: Float32Array | undefined;
}

export function passValues(
  { heads, positions: places }: DecoderOptions,
  { ids, positions }: Pick<Batch, "ids" | "positions">,
): PassValues {
  const longest = positions.reduce((last, position) => Math.max(last, position), 0) + 1;
  const frequencies = places.kind === "rope" ? places.frequencies(longest) : undefined;
  return { ids, positions, frequencies, slopes: places.kind === "alibi" ? alibiSlopes(heads) : undefined };
}

/** The inputs of a pass over a batch whose tokens see one another. */
export function batchInputs(
  options: DecoderOptions,
  batch: Batch,
  { backend, noise, cache }: { backend: Backend; noise?: EmbeddingNoise | undefined; cache?: DecoderCache | undefined },
): PassInputs {
  const { ids, positions, frequencies, slopes } = passValues(options, batch);
  const { hiddenSize, embeddingScale: factor = 1 } = options;
  const row = (values: Int32Array | Float32Array) => tensor(backend, values, [values.length]);
  return {
    ...{ ids: row(ids), positions: row(positions) },
    frequencies: frequencies && row(frequencies),
    slopes: slopes && row(slopes),
    noise:
      noise &&
      tensor(backend, embeddingNoise(batch.segments, hiddenSize, { ...noise, factor }), [ids.length, hiddenSize]),
    context: { segments: row(batch.segments), cache },
  };
}

function attentionShape({ heads, kvHeads, headDim: dim, scores = {} }: DecoderOptions, layer: number) {
  const { scale = 1 / Math.sqrt(dim), softCap = 0, windows } = scores;
  return { heads, kvHeads, dim, scale, softCap, window: windows?.[layer] ?? 0 };
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

function siteNumbers(options: DecoderOptions): Pass["site"] {
  const names = layerLinears(options).map((module) => module.name);
  return (name, adapter) => {
    const [layer, ...rest] = name.slice(options.names.layers.length + 1).split(".");
    return (adapter * options.layers + Number(layer)) * names.length + names.indexOf(rest.join("."));
  };
}

function only(tensors: readonly Tensor[]): Tensor {
  return tensors[0] as Tensor;
}
