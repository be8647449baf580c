/** Causal language models: a decoder, its weights mapped from a Hugging Face folder, and what is trained on top. */
import { InputError, oneLine } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import type { Batch } from "../data/packing/batch.js";
import {
  changeConfig,
  optionalNumber,
  readHfConfig,
  scaleRope,
  type HfConfig,
  type RopeScaling,
} from "../checkpoint/hf-config.js";
import type { Warn } from "../json/known-keys.js";
import { adapterTensors, openAdapter } from "../checkpoint/peft.js";
import { openCheckpoint, type Checkpoint } from "../checkpoint/shards.js";
import { weightDType, type TensorInfo } from "../checkpoint/safetensors.js";
import type { EmbeddingNoise } from "../nn/embedding-noise.js";
import {
  batchInputs,
  decoderForward,
  layerLinears,
  type DecoderCache,
  type DecoderOptions,
  type DecoderWeights,
  type ForwardOptions,
  type LinearModule,
  type PassInputs,
} from "../nn/decoder.js";
import {
  checkTargets,
  endsWithAny,
  loraRank,
  loraScale,
  resolveTargets,
  type LoraConfig,
  type LoraTargets,
} from "../checkpoint/lora-config.js";
import { initLoraA, initZero } from "../nn/lora.js";
import { createArena, decays, disposeArena, type ParameterArena, type ParameterSpec } from "../nn/parameters.js";
import { linear, linearCrossEntropy, type Compute } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, mapped, tensor, type Parameter, type Tensor } from "../tensor/tensor.js";
import { checkVocabularyIsWhole, fitAdapter, type AdapterFit } from "./adapter-fit.js";
import { checkConfigKeys } from "./config-keys.js";
import { families } from "./families.js";
import type { Family } from "./family.js";
import { findWeight, hasOwnHead, unusedTensors } from "./stored-weights.js";
import { savedSpecs, weightSpecs, type WeightSpec } from "./weight-specs.js";

export interface LoadOptions {
  readonly backend: Backend;
  /** Precision of products and kept activations; sums and whatever is trained are f32 in both. Default f32. */
  readonly compute?: Compute;
  /** Stretches rotary positions, in place of what config.json says, so that rows of `maxLength` tokens fit. */
  readonly ropeScaling?: RopeScaling | undefined;
  /** Whether the model ends in a score in place of an output head, which is then not looked for. */
  readonly classifies?: boolean;
  /** Told, a line each, what the folder of the model, and later that of its adapter, says and nobody acts on. */
  readonly warn?: Warn;
}

/** Options of one run of the model; the rest comes from how it was loaded. */
export interface RunOptions extends Omit<ForwardOptions, "compute"> {
  /** Noise on the embeddings, while training with it. */
  readonly noise?: EmbeddingNoise | undefined;
  /** Gets keys and values, for tokens that come later. */
  readonly cache?: DecoderCache | undefined;
}

export class CausalLm implements DecoderWeights {
  readonly backend: Backend;
  readonly compute: Compute;
  readonly #weights = new Map<string, Tensor>();
  readonly #adapters = new Map<string, { readonly a: Parameter; readonly b: Parameter; readonly scale: number }>();
  /** Weights that an adapter's file has in place of the base's, without training them. */
  readonly #replaced = new Map<string, TensorInfo>();
  readonly #warn: Warn;
  #config: HfConfig;
  #options: DecoderOptions;
  #arena: ParameterArena | undefined;

  constructor(
    readonly dir: string,
    config: HfConfig,
    options: DecoderOptions,
    readonly checkpoint: Checkpoint,
    { backend, compute = "f32", warn = () => {} }: LoadOptions,
  ) {
    this.#config = config;
    this.#options = options;
    this.#warn = warn;
    this.backend = backend;
    this.compute = compute;
  }

  /** config.json, and what is to stand there once the model is saved. */
  get config(): HfConfig {
    return this.#config;
  }

  get options(): DecoderOptions {
    return this.#options;
  }

  /** Whether the embedding or the head are an adapter's own without being trained with it. */
  get hasOtherVocabulary(): boolean {
    return this.#replaced.size > 0 || this.#config.changes?.["vocab_size"] !== undefined;
  }

  /** Full names of the linear modules below the layers, in the order of the forward pass. */
  get linears(): string[] {
    return [...this.#linearModules().keys()];
  }

  /** Full names of the linear modules that the targets of an adapter mean. */
  targets(targets: LoraTargets): string[] {
    return resolveTargets(targets, this.linears);
  }

  /** Ranks of the adapters of a layer, summed; of the layer that has most. */
  get adapterRanks(): number {
    const ranks = Array.from({ length: this.options.layers }, () => 0);
    for (const [module, { a }] of this.#adapters) {
      const layer = Number(module.slice(this.options.names.layers.length + 1).split(".", 1)[0]);
      ranks[layer] = (ranks[layer] as number) + (a.shape[0] as number);
    }
    return Math.max(0, ...ranks);
  }

  /** Dropout inside the model that config.json asks for in training and that is not applied, as "attn_pdrop 0.1". */
  get unusedDropout(): string[] {
    return Object.entries(familyOf(this.config).dropout).flatMap(([key, fallback]) => {
      const p = optionalNumber(this.config, key) ?? fallback;
      return p === 0 ? [] : [`${key} ${p}`];
    });
  }

  /** Number of elements of all weights, adapters not counted. */
  get parameterCount(): number {
    return weightSpecs(this.options).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  }

  /** What is trained; undefined until `addLora`, `loadAdapter` or `trainAll`. */
  get arena(): ParameterArena | undefined {
    return this.#arena;
  }

  weight(name: string): Tensor {
    const found = this.#weights.get(name);
    if (found === undefined) throw new RangeError(`the model has no weight ${name}`);
    return found;
  }

  /** Where a weight lies in the checkpoint; a tied head lies where the embedding does. */
  source(name: string): TensorInfo {
    return this.#sourceOf(name);
  }

  loras(module: string): readonly { readonly a: Tensor; readonly b: Tensor; readonly scale: number }[] {
    const found = this.#adapters.get(module);
    return found === undefined ? [] : [found];
  }

  /** The output head: its own weight, or the embedding where they are tied and the head was not saved apart. */
  get head(): Tensor {
    const { head, embedding } = this.options.names;
    return this.#weights.get(`${head}.weight`) ?? this.weight(`${embedding}.weight`);
  }

  /** Final hidden states (tokens, hidden). */
  forward(batch: Batch, { noise, cache, ...run }: RunOptions = {}): Tensor {
    return scope(() => this.pass(batchInputs(this.options, batch, { backend: this.backend, noise, cache }), run));
  }

  /** The same of inputs that are on the backend already. */
  pass(inputs: PassInputs, run: Omit<ForwardOptions, "compute"> = {}): Tensor {
    return decoderForward(this.options, this, inputs, { compute: this.compute, ...run });
  }

  /** Negative log-likelihood of every label (tokens) f32, 0 where it is -100, and whether the arg max hits it. */
  loss(batch: Batch, options: RunOptions = {}): { nll: Tensor; correct: Tensor } {
    return scope(() => {
      const labels = tensor(this.backend, batch.labels, [batch.labels.length]);
      const softCap = this.options.logitSoftCap ?? 0;
      return linearCrossEntropy(this.forward(batch, options), this.head, labels, { compute: this.compute, softCap });
    });
  }

  /** Logits (rows, vocab) f32 of some hidden states (rows, hidden). */
  logits(hidden: Tensor): Tensor {
    return scope(() => {
      const logits = noGrad(() => linear(hidden, [{ weight: this.head, dtype: "f32" }], this.compute)[0] as Tensor);
      const cap = this.options.logitSoftCap;
      if (cap !== undefined) this.backend.kernels.softCap({ out: logits, x: logits, count: logits.size, cap });
      return logits;
    });
  }

  /**
   * Adds a fresh adapter: lora_A random, lora_B zero.
   * @throws InputError when the configuration names a module that the model has not
   */
  addLora(config: LoraConfig, random: () => number): void {
    const { target_modules: targets } = config;
    if (typeof targets !== "string") checkVocabularyIsWhole(this.options, (module) => endsWithAny(module, targets));
    checkTargets(config, this.linears);
    this.#adapt(config, {
      a: (value) => initLoraA(this.backend, value, random),
      b: (value) => initZero(this.backend, value),
      saved: (value, name) => this.#copyInto(value, this.#sourceOf(name)),
    });
  }

  /**
   * Adds the adapter of a PEFT folder and returns its configuration. An embedding and a head that the adapter brings take
   * the place of the base's, and their number of rows becomes the vocabulary's.
   * @param besides saved modules that are no part of the decoder, such as a classifier's score: the caller's business
   * @throws InputError for an adapter that is not supported or does not fit the model
   */
  async loadAdapter(dir: string, besides: readonly string[] = []): Promise<LoraConfig> {
    const adapter = await openAdapter(dir, this.#warn);
    const fit = await fitAdapter(adapter, this, dir, besides);
    this.#takeVocabulary(fit);
    const { config } = fit;
    const info = (module: string, side: "a" | "b"): TensorInfo => {
      const found = adapter.factors.get(module)?.[side];
      if (found === undefined) throw new InputError(`the adapter has no weights for ${module}`, { place: dir });
      return found;
    };
    this.#adapt(config, {
      a: (value, module) => this.#copyInto(value, info(module, "a")),
      b: (value, module) => this.#copyInto(value, info(module, "b")),
      saved: (value, name) => {
        const found = adapter.saved.get(name);
        if (found === undefined)
          throw new InputError(`the adapter has no ${name}, although modules_to_save names it`, { place: dir });
        this.#copyInto(value, found);
      },
    });
    return config;
  }

  /** Makes every weight trainable, in f32. */
  trainAll(): void {
    this.#train(
      weightSpecs(this.options).map((spec) =>
        this.#weightSpec(spec, (value) => this.#copyInto(value, this.#sourceOf(spec.name))),
      ),
    );
  }

  /** Sets what is trained to the values in a folder that `saveAdapter` or `saveCausalLm` wrote. */
  async restore(dir: string): Promise<void> {
    const adapter = this.#adapters.size > 0;
    const tensors = adapter ? adapterTensors(await openAdapter(dir)) : (await openCheckpoint(dir)).tensors;
    for (const parameter of this.#arena?.parameters ?? []) {
      const info = tensors.get(parameter.name);
      if (info === undefined) throw new InputError(`the checkpoint has no tensor "${parameter.name}"`, { place: dir });
      this.#copyInto(parameter, info);
    }
  }

  dispose(): void {
    for (const tensor of this.#weights.values()) tensor.dispose();
    if (this.#arena !== undefined) disposeArena(this.#arena);
  }

  /** Maps the weights that are not there yet: matrices as they lie in the file, vectors as f32 copies. */
  mapWeights(): void {
    for (const { name, shape } of weightSpecs(this.options)) {
      if (this.#weights.has(name)) continue;
      const info = this.#sourceOf(name, shape);
      const file = mapped(this.backend, info.path, info.byteOffset, weightDType(info), shape);
      if (shape.length > 1) {
        this.#weights.set(name, file);
        continue;
      }
      const copy = empty(this.backend, shape, "f32");
      this.backend.kernels.copy({ out: copy, x: file, count: copy.size });
      file.dispose();
      this.#weights.set(name, copy);
    }
  }

  /** Gives the model an adapter's size of the vocabulary and the embedding and head that it does not train. */
  #takeVocabulary({ replaced, vocabSize, tied }: AdapterFit): void {
    const changes = {
      ...(vocabSize !== this.#options.vocabSize && { vocab_size: vocabSize }),
      ...(tied !== this.#options.tieWordEmbeddings && { tie_word_embeddings: tied }),
    };
    this.#config = changeConfig(this.#config, changes);
    this.#options = { ...this.#options, vocabSize, tieWordEmbeddings: tied };
    for (const [name, info] of replaced) {
      this.#replaced.set(name, info);
      this.#weights.get(name)?.dispose();
      this.#weights.delete(name);
    }
    if (replaced.size > 0) this.mapWeights();
  }

  #adapt(
    config: LoraConfig,
    init: {
      a: (value: Tensor, module: string) => void;
      b: (value: Tensor, module: string) => void;
      saved: (value: Tensor, name: string) => void;
    },
  ): void {
    const shapes = this.#linearModules();
    const targets = this.targets(config);
    const factors = targets.flatMap((module): ParameterSpec[] => {
      const { out, in: width } = shapes.get(module) as { out: number; in: number };
      const rank = loraRank(config, module);
      return [
        {
          name: `${module}.lora_A.weight`,
          shape: [rank, width],
          decay: decays(module, false),
          init: (value) => init.a(value, module),
        },
        {
          name: `${module}.lora_B.weight`,
          shape: [out, rank],
          decay: decays(module, false),
          init: (value) => init.b(value, module),
        },
      ];
    });
    const saved = savedSpecs(this.#options, config.modules_to_save).map((spec) =>
      this.#weightSpec(spec, (value) => init.saved(value, spec.name)),
    );
    // As in PEFT, which trains a copy: a head tied to the embedding keeps the weight that it had.
    const { head, embedding } = this.options.names;
    const own = saved.some(({ name }) => name === `${embedding}.weight`) ? this.head.view() : undefined;
    this.#train([...factors, ...saved]);
    if (own !== undefined && !this.#weights.has(`${head}.weight`)) this.#weights.set(`${head}.weight`, own);
    else own?.dispose();
    targets.forEach((module, index) => {
      const [a, b] = (this.#arena as ParameterArena).parameters.slice(2 * index) as [Parameter, Parameter];
      this.#adapters.set(module, { a, b, scale: loraScale(config, module) });
    });
  }

  #weightSpec({ name, shape, isNorm }: WeightSpec, init: (value: Tensor) => void): ParameterSpec {
    return { name, shape, decay: decays(name, isNorm), init };
  }

  #train(specs: readonly ParameterSpec[]): void {
    if (this.#arena !== undefined) throw new RangeError("the model already has something to train");
    this.#arena = createArena(this.backend, specs);
    for (const parameter of this.#arena.parameters) {
      if (parameter.name.includes(".lora_")) continue;
      this.#weights.get(parameter.name)?.dispose();
      this.#weights.set(parameter.name, parameter);
    }
  }

  #linearModules(): Map<string, LinearModule> {
    const { names, layers } = this.options;
    const named = Array.from({ length: layers }, (_, index) =>
      layerLinears(this.options).map((module) => [`${names.layers}.${index}.${module.name}`, module] as const),
    );
    return new Map(named.flat());
  }

  #copyInto(value: Tensor, info: TensorInfo): void {
    if (info.shape.join() !== value.shape.join())
      throw new InputError(`${info.name}: expected shape (${value.shape.join(", ")}), got (${info.shape.join(", ")})`, {
        place: info.path,
      });
    scope(() => {
      const x = mapped(this.backend, info.path, info.byteOffset, weightDType(info), info.shape);
      this.backend.kernels.copy({ out: value, x, count: value.size });
    });
  }

  /** Where a weight lies in the checkpoint; base-model files leave the prefix of their names out. */
  #sourceOf(name: string, shape?: readonly number[]): TensorInfo {
    const { names, tieWordEmbeddings } = this.options;
    const tied = name === `${names.head}.weight` && tieWordEmbeddings ? `${names.embedding}.weight` : undefined;
    const info = this.#replaced.get(name) ?? findWeight(this.checkpoint, names, name);
    if (info === undefined && tied !== undefined) return this.#sourceOf(tied, shape);
    if (info === undefined) throw new InputError(`the checkpoint has no tensor "${name}"`, { place: this.dir });
    if (shape !== undefined && info.shape.join() !== shape.join())
      throw new InputError(
        `${info.name}: expected shape (${shape.join(", ")}) from config.json, got (${info.shape.join(", ")})`,
        { place: info.path },
      );
    return info;
  }
}

/**
 * The decoder that a config.json describes.
 * @param warn told of keys that are not known here
 * @throws InputError for a family or a field that is not supported
 */
export function decoderOptions(config: HfConfig, warn: Warn = () => {}): DecoderOptions {
  const family = familyOf(config);
  checkConfigKeys(config, family, warn);
  return family.decoder(config);
}

function familyOf(config: HfConfig): Family {
  const family = families.find(({ modelType }) => modelType === config.modelType);
  if (family !== undefined) return family;
  const known = families.map(({ modelType }) => modelType).join(", ");
  throw new InputError(`model_type "${config.modelType}" is not supported; supported are ${known}`, {
    place: config.path,
  });
}

/**
 * Opens a Hugging Face folder. The weights stay in their files and are mapped. A head that is stored and is not the
 * embedding is the model's own, whatever config.json says, as in transformers.
 * @throws InputError for a folder that is damaged or asks for what is not supported
 */
export async function loadCausalLm(dir: string, options: LoadOptions): Promise<CausalLm> {
  const { ropeScaling, classifies = false, warn = () => {} } = options;
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
  if (!classifies && tieWordEmbeddings && (await hasOwnHead(checkpoint, names))) {
    warn(
      `${read.path}: says that output head and embedding are one (tie_word_embeddings), but the weights hold both and they differ; ${names.head} is used as it is stored`,
    );
    config = changeConfig(config, { tie_word_embeddings: false });
  }
  const decoder = decoderOptions(config);
  // A score takes the place of the head, so there is none to look for.
  const sized = classifies ? { ...decoder, tieWordEmbeddings: true } : decoder;
  const model = new CausalLm(dir, config, sized, checkpoint, options);
  model.mapWeights();
  const unused = unusedTensors(checkpoint, usedTensors(model));
  if (unused !== undefined) warn(oneLine(unused, dir));
  return model;
}

/** The tensors of the checkpoint that a model's weights are; a tied head may be there once more, and a classifier's score. */
function usedTensors(model: CausalLm): Set<TensorInfo> {
  const { checkpoint, options } = model;
  const head = findWeight(checkpoint, options.names, `${options.names.head}.weight`);
  const score = checkpoint.tensors.get("score.weight");
  return new Set(
    [...weightSpecs(options).map(({ name }) => model.source(name)), head, score].filter((info) => info !== undefined),
  );
}
