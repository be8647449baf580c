/** Whether an adapter fits a model, and what it brings in place of the base's weights. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import type { AdapterFiles } from "../checkpoint/peft.js";
import type { TensorInfo } from "../checkpoint/safetensors.js";
import type { DecoderOptions } from "./decoder.js";
import { resolveTargets, type LoraConfig } from "../checkpoint/lora-config.js";
import { sameTensor } from "../checkpoint/stored-weights.js";
import { isOf, linearModules, savedSpecs, SCORE, type WeightSpec } from "./weight-specs.js";

export interface AdapterFit {
  /** The adapter's configuration; modules_to_save are those of the decoder that are trained. */
  readonly config: LoraConfig;
  /** The weights of the modules that are trained whole. */
  readonly saved: readonly WeightSpec[];
  /** Embedding and head of the adapter's file that it does not train: PEFT saves them where the vocabulary was resized. */
  readonly replaced: ReadonlyMap<string, TensorInfo>;
  /** Rows of embedding and head. */
  readonly vocabSize: number;
  /** Whether the base's head is still its embedding, but for what is trained. */
  readonly tied: boolean;
}

/**
 * @param dir the adapter's folder
 * @throws InputError naming what does not fit, or what of the adapter would be left out
 */
export async function fitAdapter(files: AdapterFiles, options: DecoderOptions, dir: string): Promise<AdapterFit> {
  // An embedding that PEFT trained together with the head tied to it stays one weight with it.
  const staysTied = files.keepsTies && options.tieWordEmbeddings;
  const modules = modulesOf(files).filter((module) => !staysTied || !isOf(`${options.names.embedding}.weight`, module));
  const config = { ...files.config, modules_to_save: modules };
  checkNumbers(config, dir);
  checkFactors(files, config, options, dir);
  const labels = scoreLabels(files, options);
  const trained = new Set(savedSpecs(options, modules, labels).map(({ name }) => name));
  const { known, ...vocabulary } = await vocabularyOf(files, options, trained, dir);
  const saved = savedSpecs({ ...options, vocabSize: vocabulary.vocabSize }, modules, labels);
  const unnamed = [...files.saved.keys()].find((name) => !trained.has(name) && !known.has(name));
  if (unnamed !== undefined)
    throw new InputError(
      `the adapter has weights for ${unnamed}, which adapter_config.json names neither in target_modules nor in modules_to_save`,
      { place: dir },
    );
  return { config, saved, ...vocabulary };
}

/** The modules that are trained whole. For a classifier PEFT names both heads that models may have, whichever is there. */
function modulesOf({ config, taskType, saved }: AdapterFiles): string[] {
  const named = config.modules_to_save;
  if (taskType !== "SEQ_CLS") return [...named];
  const others = named.filter((module) => module !== "classifier" && !isOf(SCORE, module));
  return saved.has(SCORE) ? [...others, "score"] : others;
}

/** Rows of the adapter's score; 0 where it has none. */
function scoreLabels({ taskType, saved }: AdapterFiles, { hiddenSize }: DecoderOptions): number {
  const score = taskType === "SEQ_CLS" ? saved.get(SCORE) : undefined;
  return score === undefined ? 0 : checkScore(score, hiddenSize);
}

/**
 * @returns the number of labels
 * @throws InputError where a score does not fit the hidden size
 */
export function checkScore({ shape, path }: TensorInfo, hiddenSize: number): number {
  const [labels = 0, width] = shape;
  if (shape.length !== 2 || width !== hiddenSize || labels === 0)
    throw new InputError(`${SCORE}: expected shape (labels, ${hiddenSize}), got (${shape.join(", ")})`, {
      place: path,
    });
  return labels;
}

function checkNumbers(config: LoraConfig, dir: string): void {
  const wrong = (key: keyof LoraConfig, expected: string): InputError =>
    new InputError(`expected ${expected} at "${key}", got ${JSON.stringify(config[key])}`, {
      place: join(dir, "adapter_config.json"),
    });
  const isRank = (rank: number): boolean => Number.isSafeInteger(rank) && rank >= 1;
  if (!isRank(config.r)) throw wrong("r", "a positive integer");
  if (!Object.values(config.rank_pattern ?? {}).every(isRank)) throw wrong("rank_pattern", "positive integers");
  if (!(config.lora_dropout >= 0 && config.lora_dropout < 1))
    throw wrong("lora_dropout", "a number from 0 to less than 1");
}

/** Every module with factors must be one that there is, and that the configuration targets. */
function checkFactors(
  { factors, saved }: AdapterFiles,
  config: LoraConfig,
  options: DecoderOptions,
  dir: string,
): void {
  const adapted = [...factors.keys(), ...[...saved.keys()].map((name) => name.replace(/\.lora_embedding_[AB]$/, ""))];
  checkVocabularyIsWhole(options, (module) => adapted.includes(module), dir);
  const stray = (modules: readonly string[]) => [...factors.keys()].find((module) => !modules.includes(module));
  const linears = [...linearModules(options).keys()];
  const foreign = stray(linears);
  if (foreign !== undefined)
    throw new InputError(`the adapter is for another model: this one has no module ${foreign}`, { place: dir });
  const untargeted = stray(resolveTargets(config, linears));
  if (untargeted !== undefined)
    throw new InputError(`the adapter has weights for ${untargeted}, which its configuration does not target`, {
      place: dir,
    });
}

/**
 * LoRA is for the linear modules of the layers alone.
 * @param isAdapted whether a module has, or is to have, factors
 * @throws InputError where head or embedding have
 */
export function checkVocabularyIsWhole(
  { names }: DecoderOptions,
  isAdapted: (module: string) => boolean,
  place?: string,
): void {
  for (const [module, what] of [
    [names.head, "the output head"],
    [names.embedding, "the embedding"],
  ] as const)
    if (isAdapted(module))
      throw new InputError(
        `LoRA of ${what} (${module}) is not supported; train it whole instead, with --modules_to_save ${module.split(".").at(-1)}`,
        place === undefined ? {} : { place },
      );
}

/** The vocabulary of base and adapter together, and the names of the adapter's weights that are part of it. */
async function vocabularyOf(
  { saved }: AdapterFiles,
  { names, vocabSize, tieWordEmbeddings }: DecoderOptions,
  trained: ReadonlySet<string>,
  dir: string,
): Promise<Omit<AdapterFit, "config" | "saved"> & { readonly known: ReadonlySet<string> }> {
  const [embedding, head] = [`${names.embedding}.weight`, `${names.head}.weight`] as const;
  const [table, output] = [saved.get(embedding), saved.get(head)];
  const replaced = new Map<string, TensorInfo>();
  if (table !== undefined && !trained.has(embedding)) replaced.set(embedding, table);
  // Of a tied model PEFT saves the one weight under both names.
  const twice = tieWordEmbeddings && output !== undefined && replaced.has(embedding);
  if (output !== undefined && !trained.has(head) && (!tieWordEmbeddings || table !== undefined))
    if (!twice || !(await sameTensor(table!, output))) replaced.set(head, output);
  const rows = table?.shape[0] ?? output?.shape[0] ?? vocabSize;
  const follows = tieWordEmbeddings && replaced.has(embedding);
  const whole = table !== undefined && (output === undefined ? follows : output.shape[0] === rows);
  if (rows !== vocabSize && !whole) {
    const sizes = [table, output].map((info) => (info === undefined ? "is not in it" : `has ${info.shape[0]} rows`));
    throw new InputError(
      `the adapter was trained with another vocabulary than the base's ${vocabSize} rows, and has only a part of it: ` +
        `${names.embedding} ${sizes[0]}, ${names.head} ${sizes[1]}; train it with both in modules_to_save`,
      { place: dir },
    );
  }
  const known = new Set(twice ? [...replaced.keys(), head] : replaced.keys());
  return { replaced, vocabSize: rows, tied: tieWordEmbeddings && !replaced.has(head), known };
}
