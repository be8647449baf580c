/** One low-rank adapter on a base, as PEFT has it: its configuration, its factors, and the modules that it has whole. */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import {
  checkTargets,
  endsWithAny,
  loraRank,
  loraScale,
  resolveTargets,
  type LoraConfig,
} from "../checkpoint/lora-config.js";
import { adapterTensors, openAdapterFiles, writeAdapter, type TaskType } from "../checkpoint/peft.js";
import type { TensorInfo } from "../checkpoint/safetensors.js";
import type { Warn } from "../json/known-keys.js";
import type { Tensor } from "../tensor/tensor.js";
import { checkVocabularyIsWhole, fitAdapter } from "./adapter-fit.js";
import type { DecoderOptions, DecoderWeights } from "./decoder.js";
import { initLoraA, initZero } from "./lora.js";
import { copyWeight, mapWeight, restoreTensors, tensorsToWrite, widened } from "./map-weight.js";
import { decays, type ParameterArena, type ParameterSpec } from "./parameters.js";
import { linearModules, savedSpecs, trainedSpec } from "./weight-specs.js";

/** What an adapter is put on. */
export interface AdapterBase {
  readonly backend: Backend;
  readonly options: DecoderOptions;
  /** Where a weight lies in the base's files. */
  source(name: string): TensorInfo;
}

/** Embedding and head of base and adapter together. */
export interface Vocabulary {
  /** Rows of both. */
  readonly size: number;
  /** Whether the head is the embedding, but for what is trained. */
  readonly tied: boolean;
}

type Factors = ReturnType<DecoderWeights["loras"]>[number];

/** Something that an adapter is made of. */
interface Entry {
  readonly spec: ParameterSpec;
  /** Where it lies, if it is in a file. */
  readonly info?: TensorInfo | undefined;
}

/**
 * Frozen when it is opened: its matrices are mapped, and nothing holds gradients. `train` puts it over an arena.
 */
export class Adapter {
  /** What it is made of, by name, in the order of the file. */
  readonly #entries: ReadonlyMap<string, Entry>;
  /** The base's vocabulary in the adapter's file, never trained. */
  readonly #vocabularyWeights: ReadonlyMap<string, TensorInfo>;
  readonly #mapped = new Map<string, Tensor>();
  readonly #factors = new Map<string, Factors>();
  #trained: ReadonlyMap<string, Tensor> = new Map();

  constructor(
    readonly base: AdapterBase,
    /** target_modules as they were given; modules_to_save are those of the decoder and its head. */
    readonly config: LoraConfig,
    readonly taskType: TaskType,
    readonly vocabulary: Vocabulary,
    entries: readonly Entry[],
    vocabularyWeights: ReadonlyMap<string, TensorInfo>,
    /** The folder that it was opened from. */
    readonly dir?: string,
  ) {
    this.#entries = new Map(entries.map((entry) => [entry.spec.name, entry]));
    this.#vocabularyWeights = vocabularyWeights;
  }

  /** Whether embedding or head are the adapter's own without being trained with it. */
  get hasOtherVocabulary(): boolean {
    return this.#vocabularyWeights.size > 0 || this.vocabulary.size !== this.base.options.vocabSize;
  }

  /** Names of the weights that it has whole: those that it trains, and the base's vocabulary in its file. */
  get wholeWeights(): { readonly trained: ReadonlySet<string>; readonly vocabulary: ReadonlySet<string> } {
    const names = [...this.#entries.keys()].filter((name) => !isFactor(name));
    return { trained: new Set(names), vocabulary: new Set(this.#vocabularyWeights.keys()) };
  }

  /** What is to be trained. `prefix` tells its parameters from those of other adapters in one arena. */
  specs(prefix = ""): ParameterSpec[] {
    return [...this.#entries.values()].map(({ spec }) => ({ ...spec, name: prefix + spec.name }));
  }

  /** Lets the parameters that an arena has for `specs(prefix)` take the place of the mapped ones. */
  train(arena: ParameterArena, prefix = ""): void {
    this.#trained = new Map([...this.#entries.keys()].map((name) => [name, arena.parameter(prefix + name)]));
    this.#free();
  }

  /** The factors on a linear module, if it is adapted. */
  factors(module: string): Factors | undefined {
    const known = this.#factors.get(module);
    if (known !== undefined) return known;
    const a = this.#tensor(`${module}.lora_A.weight`);
    const b = this.#tensor(`${module}.lora_B.weight`);
    if (a === undefined || b === undefined) return undefined;
    const factors = { a, b, scale: loraScale(this.config, module) };
    this.#factors.set(module, factors);
    return factors;
  }

  /** A weight that it has in place of the base's. */
  weight(name: string): Tensor | undefined {
    const info = this.#vocabularyWeights.get(name);
    return info === undefined ? this.#tensor(name) : this.#map(name, info, info.shape);
  }

  /** Where a weight that it has in place of the base's lies in its file. */
  source(name: string): TensorInfo | undefined {
    return this.#vocabularyWeights.get(name) ?? this.#entries.get(name)?.info;
  }

  /**
   * Writes adapter_config.json and adapter_model.safetensors as PEFT does.
   * @param base what base_model_name_or_path says
   * @returns the names of the files
   */
  async save(dir: string, base: string): Promise<string[]> {
    if (this.#trained.size === 0) throw new RangeError("an adapter that is not trained has nothing to save");
    const { target_modules: targets } = this.config;
    const all = targets === "all" || targets === "all-linear";
    const modules = resolveTargets(this.config, [...linearModules(this.base.options).keys()]);
    const config = all ? { ...this.config, target_modules: modules } : this.config;
    const fanInFanOut = this.base.options.fanInFanOut ?? false;
    const tensors = tensorsToWrite(this.#trained);
    await writeAdapter(dir, config, tensors, { base, taskType: this.taskType, fanInFanOut });
    return ["adapter_config.json", "adapter_model.safetensors"];
  }

  /** Sets what is trained to the values in a folder that `save` wrote. */
  async restore(dir: string): Promise<void> {
    restoreTensors(this.#trained, adapterTensors(await openAdapterFiles(dir)), dir);
  }

  /** Frees what it maps; what it trains belongs to the arena. */
  dispose(): void {
    this.#free();
    this.#trained = new Map();
  }

  #free(): void {
    for (const tensor of this.#mapped.values()) tensor.dispose();
    this.#mapped.clear();
    this.#factors.clear();
  }

  #tensor(name: string): Tensor | undefined {
    const trained = this.#trained.get(name);
    if (trained !== undefined) return trained;
    const entry = this.#entries.get(name);
    if (entry === undefined) return undefined;
    if (entry.info === undefined) throw new RangeError(`${name} is in no file: train the adapter before it is used`);
    return this.#map(name, entry.info, entry.spec.shape);
  }

  #map(name: string, info: TensorInfo, shape: readonly number[]): Tensor {
    const known = this.#mapped.get(name);
    if (known !== undefined) return known;
    const file = mapWeight(this.base.backend, info, shape);
    const value = isFactor(name) && file.dtype !== "f32" ? widened(file) : file;
    this.#mapped.set(name, value);
    return value;
  }
}

/**
 * A new adapter: lora_A random, lora_B zero, and of modules_to_save what the base has. It holds nothing until it is
 * trained.
 * @throws InputError when the configuration names a module that the model has not
 */
export function freshAdapter(base: AdapterBase, config: LoraConfig, random: () => number): Adapter {
  const { target_modules: targets } = config;
  const { backend, options } = base;
  if (typeof targets !== "string") checkVocabularyIsWhole(options, (module) => endsWithAny(module, targets));
  checkTargets(config, [...linearModules(options).keys()]);
  const factors = factorSpecs(options, config, {
    a: () => (value) => initLoraA(backend, value, random),
    b: () => (value) => initZero(backend, value),
  });
  const saved = savedSpecs(options, config.modules_to_save).map((spec) =>
    trainedSpec(spec, (value) => copyWeight(value, base.source(spec.name))),
  );
  const vocabulary = { size: options.vocabSize, tied: options.tieWordEmbeddings };
  const entries = [...factors, ...saved].map((spec) => ({ spec }));
  return new Adapter(base, config, "CAUSAL_LM", vocabulary, entries, new Map());
}

/**
 * Opens the adapter of a PEFT folder. An embedding and a head that it brings take the place of the base's, and their
 * number of rows becomes the vocabulary's.
 * @throws InputError for an adapter that is not supported or does not fit the base
 */
export async function openAdapter(base: AdapterBase, dir: string, warn?: Warn): Promise<Adapter> {
  const files = await openAdapterFiles(dir, warn);
  const { config, saved, replaced, vocabSize, tied } = await fitAdapter(files, base.options, dir);
  const info = (module: string, side: "a" | "b"): TensorInfo => {
    const found = files.factors.get(module)?.[side];
    if (found === undefined) throw new InputError(`the adapter has no weights for ${module}`, { place: dir });
    return found;
  };
  const copy = (info: TensorInfo) => (value: Tensor) => copyWeight(value, info);
  const factors = factorSpecs(base.options, config, {
    a: (module) => copy(info(module, "a")),
    b: (module) => copy(info(module, "b")),
  }).map((spec): Entry => {
    const [, module, side] = FACTOR.exec(spec.name) as unknown as [string, string, string];
    return { spec, info: info(module, side === "A" ? "a" : "b") };
  });
  const whole = saved.map((spec): Entry => {
    const found = files.saved.get(spec.name);
    if (found === undefined)
      throw new InputError(`the adapter has no ${spec.name}, although modules_to_save names it`, { place: dir });
    return { spec: trainedSpec(spec, copy(found)), info: found };
  });
  const vocabulary = { size: vocabSize, tied };
  return new Adapter(base, config, files.taskType, vocabulary, [...factors, ...whole], replaced, dir);
}

type Init = ParameterSpec["init"];

function factorSpecs(
  options: DecoderOptions,
  config: LoraConfig,
  init: { readonly a: (module: string) => Init; readonly b: (module: string) => Init },
): ParameterSpec[] {
  const shapes = linearModules(options);
  return resolveTargets(config, [...shapes.keys()]).flatMap((module) => {
    const { out, in: width } = shapes.get(module)!;
    const rank = loraRank(config, module);
    const decay = decays(module, false);
    return [
      { name: `${module}.lora_A.weight`, shape: [rank, width], decay, init: init.a(module) },
      { name: `${module}.lora_B.weight`, shape: [out, rank], decay, init: init.b(module) },
    ];
  });
}

const FACTOR = /^(.*)\.lora_([AB])\.weight$/;

function isFactor(name: string): boolean {
  return FACTOR.test(name);
}
