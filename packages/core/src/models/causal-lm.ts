/** Causal language models: a decoder, its weights mapped from a Hugging Face folder, and what is trained on top. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { optionalNumber, readHfConfig, scaleRope, type HfConfig, type RopeScaling } from "../checkpoint/hf-config.js";
import { adapterTensors, openAdapter } from "../checkpoint/peft.js";
import { openCheckpoint, type Checkpoint } from "../checkpoint/shards.js";
import { weightDType, type TensorInfo } from "../checkpoint/safetensors.js";
import type { EmbeddingNoise } from "../nn/embedding-noise.js";
import {
  batchInputs,
  decoderForward,
  layerLinears,
  type Batch,
  type DecoderCache,
  type DecoderOptions,
  type DecoderWeights,
  type ForwardOptions,
  type LinearModule,
  type PassInputs,
} from "../nn/decoder.js";
import {
  checkTargets,
  initLoraA,
  initZero,
  loraRank,
  loraScale,
  resolveTargets,
  type LoraConfig,
  type LoraTargets,
} from "../nn/lora.js";
import { createArena, decays, disposeArena, type ParameterArena, type ParameterSpec } from "../nn/parameters.js";
import { linear, linearCrossEntropy, type Compute } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, mapped, tensor, type Parameter, type Tensor } from "../tensor/tensor.js";
import { refuseFields } from "./config-fields.js";
import { families } from "./families.js";
import type { Family } from "./family.js";

export interface LoadOptions {
  readonly backend: Backend;
  /** Precision of products and kept activations; sums and whatever is trained are f32 in both. Default f32. */
  readonly compute?: Compute;
  /** Stretches rotary positions, in place of what config.json says, so that rows of `maxLength` tokens fit. */
  readonly ropeScaling?: RopeScaling | undefined;
}

/** Options of one run of the model; the rest comes from how it was loaded. */
export interface RunOptions extends Omit<ForwardOptions, "compute"> {
  /** Noise on the embeddings, while training with it. */
  readonly noise?: EmbeddingNoise | undefined;
  /** Gets keys and values, for tokens that come later. */
  readonly cache?: DecoderCache | undefined;
}

export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly isNorm: boolean;
}

export class CausalLm implements DecoderWeights {
  readonly backend: Backend;
  readonly compute: Compute;
  readonly #weights = new Map<string, Tensor>();
  readonly #adapters = new Map<string, { readonly a: Parameter; readonly b: Parameter; readonly scale: number }>();
  #arena: ParameterArena | undefined;

  constructor(
    readonly dir: string,
    readonly config: HfConfig,
    readonly options: DecoderOptions,
    readonly checkpoint: Checkpoint,
    { backend, compute = "f32" }: LoadOptions,
  ) {
    this.backend = backend;
    this.compute = compute;
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

  lora(module: string): { readonly a: Tensor; readonly b: Tensor; readonly scale: number } | undefined {
    return this.#adapters.get(module);
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
    checkTargets(config, this.linears);
    this.#adapt(config, {
      a: (value) => initLoraA(this.backend, value, random),
      b: (value) => initZero(this.backend, value),
      saved: (value, name) => this.#copyInto(value, this.#sourceOf(name)),
    });
  }

  /**
   * Adds the adapter of a PEFT folder and returns its configuration.
   * @param besides saved modules that are no part of the decoder, such as a classifier's score: the caller's business
   */
  async loadAdapter(dir: string, besides: readonly string[] = []): Promise<LoraConfig> {
    const { config: read, factors, saved } = await openAdapter(dir);
    const config = { ...read, modules_to_save: read.modules_to_save.filter((module) => !besides.includes(module)) };
    const wrong = (key: keyof LoraConfig, expected: string): InputError =>
      new InputError(`expected ${expected} at "${key}", got ${JSON.stringify(config[key])}`, {
        place: join(dir, "adapter_config.json"),
      });
    const isRank = (rank: number): boolean => Number.isSafeInteger(rank) && rank >= 1;
    if (!isRank(config.r)) throw wrong("r", "a positive integer");
    if (!Object.values(config.rank_pattern ?? {}).every(isRank)) throw wrong("rank_pattern", "positive integers");
    if (!(config.lora_dropout >= 0 && config.lora_dropout < 1))
      throw wrong("lora_dropout", "a number from 0 to less than 1");
    const info = (module: string, side: "a" | "b"): TensorInfo => {
      const found = factors.get(module)?.[side];
      if (found === undefined) throw new InputError(`the adapter has no weights for ${module}`, { place: dir });
      return found;
    };
    const stray = (modules: readonly string[]) => [...factors.keys()].find((module) => !modules.includes(module));
    const foreign = stray(this.linears);
    if (foreign !== undefined)
      throw new InputError(`the adapter is for another model: this one has no module ${foreign}`, { place: dir });
    const untargeted = stray(this.targets(config));
    if (untargeted !== undefined)
      throw new InputError(`the adapter has weights for ${untargeted}, which its configuration does not target`, {
        place: dir,
      });
    this.#adapt(config, {
      a: (value, module) => this.#copyInto(value, info(module, "a")),
      b: (value, module) => this.#copyInto(value, info(module, "b")),
      saved: (value, name) => {
        const found = saved.get(name);
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
    const saved = this.#savedSpecs(config.modules_to_save).map((spec) =>
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

  /** Specs of the weights of whole modules that are trained beside an adapter, each once; a tied head becomes a weight of its own. */
  #savedSpecs(modules: readonly string[]): WeightSpec[] {
    const { head } = this.options.names;
    const { hiddenSize, vocabSize } = this.options;
    const specs = weightSpecs(this.options);
    if (this.options.tieWordEmbeddings)
      specs.push({ name: `${head}.weight`, shape: [vocabSize, hiddenSize], isNorm: false });
    const saved = modules.flatMap((module) => {
      const found = specs.filter(({ name }) => {
        const owner = name.slice(0, name.lastIndexOf("."));
        return owner === module || owner.endsWith(`.${module}`);
      });
      if (found.length === 0) throw new InputError(`modules_to_save: the model has no module "${module}"`);
      return found;
    });
    return [...new Set(saved)];
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
    const { basePrefix, head, embedding } = this.options.names;
    const short = name.startsWith(basePrefix) ? name.slice(basePrefix.length) : name;
    const tied = name === `${head}.weight` && this.options.tieWordEmbeddings ? `${embedding}.weight` : undefined;
    const info = this.checkpoint.tensors.get(name) ?? this.checkpoint.tensors.get(short);
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
 * @throws InputError for a family or a field that is not supported
 */
export function decoderOptions(config: HfConfig): DecoderOptions {
  const family = familyOf(config);
  refuseFields(config);
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

/** Opens a Hugging Face folder. The weights stay in their files and are mapped. */
export async function loadCausalLm(dir: string, options: LoadOptions): Promise<CausalLm> {
  const read = await readHfConfig(dir);
  if (options.ropeScaling !== undefined && decoderOptions(read).positions.kind !== "rope")
    throw new InputError("--rope_scaling: this model has no rotary positions to scale", { place: read.path });
  const config = options.ropeScaling === undefined ? read : scaleRope(read, options.ropeScaling);
  const decoder = decoderOptions(config);
  const checkpoint = await openCheckpoint(dir);
  // Before anything is made for each layer: a damaged number may be any.
  if (decoder.layers > checkpoint.tensors.size) {
    throw new InputError(`says ${decoder.layers} layers, but the weights are only ${checkpoint.tensors.size} tensors`, {
      place: config.path,
    });
  }
  const model = new CausalLm(dir, config, decoder, checkpoint, options);
  model.mapWeights();
  return model;
}

/** Name and shape of every weight a decoder has; a tied head is not one. */
export function weightSpecs(options: DecoderOptions): WeightSpec[] {
  const { names, norm, hiddenSize, vocabSize, positions, attention } = options;
  const matrix = (name: string, rows: number, cols: number): WeightSpec => ({
    name: `${name}.weight`,
    shape: [rows, cols],
    isNorm: false,
  });
  const vector = (name: string, size: number, isNorm: boolean): WeightSpec => ({ name, shape: [size], isNorm });
  const norms = (owners: readonly (string | undefined)[], size = hiddenSize, prefix = ""): WeightSpec[] =>
    owners
      .filter((owner) => owner !== undefined)
      .flatMap((owner) => (norm.kind === "rms" ? ["weight"] : ["weight", "bias"]).map((part) => `${owner}.${part}`))
      .map((name) => vector(prefix + name, size, true));
  const layers = Array.from({ length: options.layers }, (_, index) => {
    const prefix = `${names.layers}.${index}.`;
    const linears = layerLinears(options).flatMap(({ name, out, in: width, bias }) => [
      options.fanInFanOut ? matrix(prefix + name, width, out) : matrix(prefix + name, out, width),
      ...(bias ? [vector(`${prefix}${name}.bias`, out, false)] : []),
    ]);
    const heads = "packed" in attention ? [] : [attention.qNorm, attention.kNorm];
    const { attentionNorm, mlpNorm } = options;
    return [
      ...norms([attentionNorm.before], hiddenSize, prefix),
      ...linears,
      ...norms(heads, options.headDim, prefix),
      ...norms([attentionNorm.after, mlpNorm.before, mlpNorm.after], hiddenSize, prefix),
    ];
  });
  return [
    matrix(names.embedding, vocabSize, hiddenSize),
    ...(positions.kind === "learned" ? [matrix(positions.name, positions.count, hiddenSize)] : []),
    ...norms([names.embeddingNorm]),
    ...layers.flat(),
    ...norms([names.finalNorm]),
    ...(options.tieWordEmbeddings ? [] : [matrix(names.head, vocabSize, hiddenSize)]),
  ];
}
