/** The frozen weights of a Hugging Face folder, which roles share: they are mapped once, whoever computes with them. */
import { InputError, oneLine } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { changeConfig, readHfConfig, scaleRope, type HfConfig, type RopeScaling } from "../checkpoint/hf-config.js";
import type { TensorInfo } from "../checkpoint/safetensors.js";
import { openCheckpoint, type Checkpoint } from "../checkpoint/shards.js";
import { findWeight, hasOwnHead, unusedTensors } from "../checkpoint/stored-weights.js";
import type { Warn } from "../json/known-keys.js";
import type { AdapterBase } from "../nn/adapter.js";
import { resolveTargets, type LoraTargets } from "../checkpoint/lora-config.js";
import type { DecoderOptions } from "../nn/decoder.js";
import { checkShape, mapWeight } from "../nn/map-weight.js";
import { backboneSpecs, headSpec, linearModules, SCORE, weightSpecs, type WeightSpec } from "../nn/weight-specs.js";
import type { Compute } from "../ops/index.js";
import type { Tensor } from "../tensor/tensor.js";
import { decoderOptions } from "./decoder-options.js";

export interface BaseOptions {
  readonly backend: Backend;
  /** Precision of products and kept activations; sums and whatever is trained are f32 in both. Default f32. */
  readonly compute?: Compute;
  /** Stretches rotary positions, in place of what config.json says, so that rows of `maxLength` tokens fit. */
  readonly ropeScaling?: RopeScaling | undefined;
  /** Told, a line each, what the folder says and nobody acts on. */
  readonly warn?: Warn;
}

export class Base implements AdapterBase {
  readonly #weights = new Map<string, Tensor>();

  constructor(
    readonly dir: string,
    /** config.json, and what is to stand there once a model is saved. */
    readonly config: HfConfig,
    readonly options: DecoderOptions,
    readonly checkpoint: Checkpoint,
    readonly backend: Backend,
    readonly compute: Compute,
  ) {}

  /** Full names of the linear modules below the layers, in the order of the forward pass. */
  get linears(): string[] {
    return [...linearModules(this.options).keys()];
  }

  /** Full names of the linear modules that the targets of an adapter mean. */
  targets(targets: LoraTargets): string[] {
    return resolveTargets(targets, this.linears);
  }

  /** Number of elements of all weights of the causal language model. */
  get parameterCount(): number {
    return weightSpecs(this.options).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }

  /** A frozen weight by its full Hugging Face name: mapped, or an f32 copy of a vector. */
  weight(name: string): Tensor {
    const known = this.#weights.get(name);
    if (known !== undefined) return known;
    const info = this.source(name);
    const value = mapWeight(this.backend, info, info.shape);
    this.#weights.set(name, value);
    return value;
  }

  /**
   * Where a weight lies in the checkpoint; a tied head lies where the embedding does.
   * @throws InputError where it is in no file
   */
  source(name: string): TensorInfo {
    const { names, tieWordEmbeddings } = this.options;
    const found = findWeight(this.checkpoint, names, name);
    if (found !== undefined) return found;
    if (name === `${names.head}.weight` && tieWordEmbeddings) return this.source(`${names.embedding}.weight`);
    throw new InputError(`the checkpoint has no tensor "${name}"`, { place: this.dir });
  }

  /** The score of a classifier's folder. */
  get score(): TensorInfo | undefined {
    return this.checkpoint.tensors.get(SCORE);
  }

  dispose(): void {
    for (const tensor of this.#weights.values()) tensor.dispose();
    this.#weights.clear();
  }

  /** @throws InputError where a weight is in no file or has another shape than config.json says */
  check(specs: readonly WeightSpec[]): void {
    for (const { name, shape } of specs) checkShape(this.source(name), shape, " from config.json");
  }
}

/**
 * Opens a Hugging Face folder. The weights stay in their files and are mapped. A head that is stored and is not the
 * embedding is the model's own, whatever config.json says, as in transformers.
 * @throws InputError for a folder that is damaged or asks for what is not supported
 */
export async function openBase(dir: string, options: BaseOptions): Promise<Base> {
  const { backend, compute = "f32", ropeScaling, warn = () => {} } = options;
  const read = await readHfConfig(dir);
  const described = decoderOptions(read, warn);
  if (ropeScaling !== undefined && described.positions.kind !== "rope")
    throw new InputError("--rope_scaling: this model has no rotary positions to scale", { place: read.path });
  const checkpoint = await openCheckpoint(dir);
  // Before anything is made for each layer: a damaged number may be any.
  if (described.layers > checkpoint.tensors.size) {
    throw new InputError(
      `says ${described.layers} layers, but the weights are only ${checkpoint.tensors.size} tensors`,
      { place: read.path },
    );
  }
  let config = ropeScaling === undefined ? read : scaleRope(read, ropeScaling);
  const { names, tieWordEmbeddings } = described;
  if (tieWordEmbeddings && (await hasOwnHead(checkpoint, names))) {
    warn(
      `${read.path}: says that output head and embedding are one (tie_word_embeddings), but the weights hold both and they differ; ${names.head} is used as it is stored`,
    );
    config = changeConfig(config, { tie_word_embeddings: false });
  }
  const base = new Base(dir, config, decoderOptions(config), checkpoint, backend, compute);
  base.check(backboneSpecs(base.options));
  const unused = unusedTensors(checkpoint, usedTensors(base));
  if (unused !== undefined) warn(oneLine(unused, dir));
  return base;
}

/** The tensors of the checkpoint that a role may read; a tied head may be there once more. */
function usedTensors(base: Base): Set<TensorInfo> {
  const { checkpoint, options, score } = base;
  const head = findWeight(checkpoint, options.names, headSpec(options).name);
  const backbone = backboneSpecs(options).map(({ name }) => base.source(name));
  return new Set([...backbone, head, score].filter((info) => info !== undefined));
}
