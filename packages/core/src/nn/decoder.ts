/**
 * The one decoder behind every family: norm, attention, norm, MLP, with two residual additions, on a ragged batch of
 * tokens. A family file says which pieces it has and what its modules are called; a piece that it leaves out is not there.
 */
import type { Backend } from "../backends/backend.js";
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
  type Compute,
  type DropoutDraw,
  type Heads,
  type KeyValues,
  type LoraFactors,
  type Places,
  type Packing,
  type Projection,
} from "../ops/index.js";
import { checkpoint } from "../tensor/autograd.js";
import type { DType } from "../tensor/dtype.js";
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
  /** Noise on the embeddings, while training with it. */
  readonly noise?: EmbeddingNoise | undefined;
  /** Keeps keys and values for tokens that come later. No gradient flows through it. */
  readonly cache?: DecoderCache | undefined;
}

/** What the decoder needs of a cache of keys and values. */
export interface DecoderCache {
  /** Keys and values of one layer. */
  layer(index: number): KeyValues;
  /** The cached sequence of each sequence in the batch. A batch's positions are places in them. */
  readonly slots: Int32Array;
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
          fanInFanOut: options.fanInFanOut,
          bias: module.bias ? weights.weight(`${name}.bias`) : undefined,
          lora: lora && { ...lora, dropout },
          dtype,
        };
      });
      return linear(x, projections, compute);
    };
    const norm = (x: Tensor, name: string, dtype: DType): [normed: Tensor, x: Tensor] => {
      const weight = weights.weight(`${name}.weight`);
      const { kind, eps, offset = 0 } = options.norm;
      return kind === "rms"
        ? rmsNorm(x, weight, { eps, offset, dtype })
        : layerNorm(x, weight, weights.weight(`${name}.bias`), { eps, dtype });
    };
    /** What half a layer adds to the residual stream: its last projection, normed where the family says so. */
    const output = (x: Tensor, prefix: string, module: LinearModule, { after }: HalfLayerNorm): Tensor => {
      if (after === undefined) return only(project(x, prefix, [module], "f32"));
      return norm(only(project(x, prefix, [module])), `${prefix}.${after}`, "f32")[0];
    };

    const attentionHalf = (x: Tensor, { segments, slopes, table }: AttentionConstants, index: number): Tensor => {
      const prefix = `${names.layers}.${index}`;
      const [normed, residual] = norm(x, `${prefix}.${options.attentionNorm.before}`, dtype);
      const shape = { ...attentionShape(options, index), segments, slopes, compute };
      /** Attention on what the cache has, once it has this; undefined where the batch is all there is to see. */
      const cached = (q: Heads, k: Heads, v: Heads): Tensor | undefined => {
        if (run.cache === undefined || places === undefined) return undefined;
        const layer = run.cache.layer(index);
        cacheRows(layer.keys, k, places);
        cacheRows(layer.values, v, places);
        return places.continued ? attentionCached(q, layer, places, shape) : undefined;
      };
      const heads = scope(() => {
        if ("packed" in options.attention) {
          const { packed, packing } = options.attention;
          const qkv = only(project(normed, prefix, [packed]));
          const [q, k, v] = packedHeads(qkv, packing, shape);
          return cached(q, k, v) ?? attentionPacked(qkv, packing, shape);
        }
        const { qNorm, kNorm, ...modules } = options.attention;
        const projected = project(normed, prefix, [modules.q, modules.k, modules.v]);
        const [queries, keys, v] = projected as [Tensor, Tensor, Tensor];
        const placed = (x: Tensor, heads: number, normName: string | undefined): Tensor => {
          const scaled = normName === undefined ? x : norm(x, `${prefix}.${normName}`, dtype)[0];
          return table === undefined ? scaled : rope(scaled, table, heads);
        };
        const [q, k] = [placed(queries, options.heads, qNorm), placed(keys, options.kvHeads, kNorm)];
        const heads = (x: Tensor): Heads => ({ x, offset: 0, head: options.headDim, stride: x.shape[1] as number });
        return cached(heads(q), heads(k), heads(v)) ?? attention(q, k, v, shape);
      });
      return add(residual, output(heads, prefix, options.attentionOutput, options.attentionNorm));
    };
    const mlpHalf = (x: Tensor, index: number): Tensor => {
      const prefix = `${names.layers}.${index}`;
      const [normed, residual] = norm(x, `${prefix}.${options.mlpNorm.before}`, dtype);
      const { gate, up, down } = options.mlp;
      const [first, second] = project(normed, prefix, gate === undefined ? [up] : [gate, up]);
      const activated = activation(first as Tensor, options.activation, second);
      return add(residual, output(activated, prefix, down, options.mlpNorm));
    };

    const { constants, positions } = batchConstants(options, batch, backend);
    const places = run.cache && cachePlaces(batch, positions, run.cache.slots);
    let x = scope(() => {
      const factor = options.embeddingScale ?? 1;
      const table = weights.weight(`${names.embedding}.weight`);
      const clean = embedding(table, ids, { factor, padding: options.padding });
      const noise = run.noise && embeddingNoise(batch.segments, options.hiddenSize, { ...run.noise, factor });
      const words = noise === undefined ? clean : add(clean, tensor(backend, noise, clean.shape));
      const learned = options.positions.kind === "learned" ? options.positions.name : undefined;
      const placed =
        learned === undefined ? words : add(words, embedding(weights.weight(`${learned}.weight`), positions));
      return names.embeddingNorm === undefined ? placed : norm(placed, names.embeddingNorm, "f32")[0];
    });
    for (let index = 0; index < options.layers; index++) {
      const body = (x: Tensor, constants: AttentionConstants): Tensor =>
        scope(() =>
          mlpHalf(
            scope(() => attentionHalf(x, constants, index)),
            index,
          ),
        );
      const next = index < (run.recomputedLayers ?? 0) ? checkpoint(x, constants, body) : body(x, constants);
      x.dispose();
      x = next;
    }
    return norm(x, names.finalNorm, dtype)[0];
  });
}

/** Tensors that attention needs beside its projections, the same in every layer. */
type AttentionConstants = {
  readonly segments: Tensor;
  readonly slopes: Tensor | undefined;
  readonly table: Tensor | undefined;
};

function batchConstants(
  { heads, positions: places }: DecoderOptions,
  batch: Batch,
  backend: Backend,
): { constants: AttentionConstants; positions: Tensor } {
  const ints = (data: Int32Array) => tensor(backend, data, [data.length]);
  const floats = (data: Float32Array) => tensor(backend, data, [data.length]);
  const positions = ints(batch.positions);
  const rotary = (): Tensor | undefined => {
    if (places.kind !== "rope") return undefined;
    const longest = batch.positions.reduce((last, position) => Math.max(last, position), 0) + 1;
    return ropeTable(positions, floats(places.frequencies(longest)), places.factor);
  };
  const slopes = places.kind === "alibi" ? floats(alibiSlopes(heads)) : undefined;
  return { constants: { segments: ints(batch.segments), slopes, table: rotary() }, positions };
}

/** A cached place for every token, and whether some tokens come after others that are in the cache already. */
type CachePlaces = Places & { readonly continued: boolean };

function cachePlaces(batch: Batch, positions: Tensor, slots: Int32Array): CachePlaces {
  const rows = new Int32Array(batch.positions.length);
  slots.forEach((slot, index) => rows.fill(slot, batch.segments[index], batch.segments[index + 1]));
  const continued = slots.some((_, index) => batch.positions[batch.segments[index] as number] !== 0);
  return { slots: tensor(positions.backend, rows, [rows.length]), positions, continued };
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
