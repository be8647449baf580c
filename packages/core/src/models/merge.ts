/**
 * Merging a LoRA adapter into its base: a whole model in Hugging Face layout, as PEFT's merge_and_unload and
 * transformers' save_pretrained give it. Weights go from file to file in blocks of rows, so memory holds what the adapter
 * trained and a few blocks; base and result are mapped.
 */
import { existsSync, readFileSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  artifactRef,
  InputError,
  openArtifact,
  writeArtifact,
  writeFileAtomic,
  type AdapterArtifact,
  type CausalLmArtifact,
  type ModelDetails,
  type RewardModelArtifact,
} from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { f32ToBf16, f32ToF16 } from "../backends/js/half.js";
import type { View } from "../backends/kernels.js";
import { editJson } from "../checkpoint/edit-json.js";
import { readHfConfig } from "../checkpoint/hf-config.js";
import { openAdapter, type Adapter } from "../checkpoint/peft.js";
import { describeJson, readJsonObject } from "../checkpoint/read-json-object.js";
import { byteLength, loadableDType, type TensorInfo, type TensorToWrite } from "../checkpoint/safetensors.js";
import { openCheckpoint } from "../checkpoint/shards.js";
import { writeCheckpoint } from "../checkpoint/write-checkpoint.js";
import { collate } from "../data/collate.js";
import { linear } from "../ops/index.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, mapped, sizeOf, type Tensor } from "../tensor/tensor.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { saveTokenizer } from "../tokenizer/save-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { RunContext } from "../training/run-context.js";
import { CausalLm, decoderOptions, weightSpecs } from "./causal-lm.js";

/** Dtypes that a model can be written in. */
export type WeightDType = "f32" | "bf16" | "f16";

export interface MergeOptions {
  /** Folder of the model that the adapter was trained on. */
  readonly base: string;
  /** Folder of the adapter, as PEFT writes it. */
  readonly adapter: string;
  /** Folder of the merged model; it must be free, or with `overwrite` hold an artifact and nothing else. */
  readonly outputDir: string;
  /** Folder of the tokenizer to copy; default the adapter's own where it has one, else the base's. */
  readonly tokenizer?: string | undefined;
  /** Bytes that a weight file may have; default 5 GB, as the Hugging Face hub's. */
  readonly maxShardBytes?: number | undefined;
  /** Default: each weight keeps the dtype that it has in the base. */
  readonly dtype?: WeightDType | undefined;
  readonly overwrite?: boolean | undefined;
  readonly backend: Backend;
}

const SCORE = "score.weight";

/** Saved modules of a classifier that PEFT names without looking whether the model has them. */
const CLASSIFIER_HEADS = ["classifier", "score"];

/** Elements that are held at once: 16 MiB of f32. */
const BLOCK = 4 << 20;

const TORCH_DTYPES = { f32: "float32", bf16: "bfloat16", f16: "float16" } as const;

/**
 * Relative error of the outputs (root mean square) that rounding the weights to a dtype may cause: 16 roundings of the
 * dtype's unit, which real models stay several times below, and for f32 what sums in another order do.
 */
const EXPLAINED: Readonly<Record<WeightDType, number>> = { f32: 1e-4, f16: 16 * 2 ** -11, bf16: 16 * 2 ** -8 };

/** Text that base + adapter and merged model are compared on. */
const SAMPLE =
  "Fever is a body temperature above the normal range. 发热是指体温超过正常范围，常见于感染、炎症和肿瘤等疾病。 Ask a doctor when it lasts.";
const SAMPLE_TOKENS = 48;

/**
 * Writes base + adapter as one model. The sum W + scale B A is computed in f32 and rounded once, to the base's dtype. A
 * head that is tied to the embedding stays so unless the adapter trained either of them in full; the merged model is
 * untied then, and config.json says so. A sequence-classification adapter gives a model with its score head.
 *
 * The outputs of what was written are compared with those of base + adapter on a sample text before the folder takes its
 * name; on any failure nothing is left behind.
 *
 * @returns the merged model: a causal-lm, or a reward-model for a sequence-classification adapter
 * @throws InputError when an input cannot be used, the adapter does not fit the base, or the outputs differ by more than
 *   rounding explains; AbortError when the context's signal aborts
 */
export async function mergeAdapter(
  options: MergeOptions,
  context: RunContext,
): Promise<CausalLmArtifact | RewardModelArtifact> {
  const { backend, outputDir, dtype, maxShardBytes = 5e9, overwrite = false } = options;
  const say: Say = (text, level = "info") => context.log({ type: "message", level, text });
  const onProgress = (done: number, total: number): void =>
    context.log({ type: "progress", task: "hashing", done, total, unit: "bytes" });

  const adapter = await openArtifact(options.adapter, "adapter", { onProgress });
  const classifies = await isClassifier(adapter);
  const base = classifies
    ? await openArtifact(options.base, ["causal-lm", "reward-model"], { onProgress })
    : await openArtifact(options.base, "causal-lm", { onProgress });
  for (const { dir } of [base, adapter])
    if (resolve(outputDir) === dir)
      throw new InputError("the merged model would take the place of what it is made from; give another folder", {
        place: outputDir,
      });
  const { path: trainedOn, digest } = adapter.manifest.details.base;
  if (digest !== null && digest !== base.digest)
    say(`the adapter was trained on ${trainedOn} as it was then, and ${base.dir} is not the same`, "warn");

  const model = await openModel(base.dir, classifies, backend);
  let written: CausalLm | undefined;
  try {
    const files = await openAdapter(adapter.dir);
    await model.loadAdapter(adapter.dir, classifies ? CLASSIFIER_HEADS : []);
    const score = classifies ? scoreHead(model, files, adapter.dir) : undefined;
    checkComplete(model, files, adapter.dir, score);
    const tokenizer = await openTokenizer(options.tokenizer, adapter.dir, base.dir, say);
    checkVocabulary(model, tokenizer);
    const parts = mergedParts(model, dtype, score);
    sayLeftOut(model, say);
    await checkRoom(outputDir, parts);

    const sample = sampleIds(model, tokenizer);
    const expected = await outputsOf(model, sample, score);
    const fill = async (staging: string): Promise<void> => {
      await writeCheckpoint(staging, withProgress(parts, context), maxShardBytes);
      const config = await readFile(model.config.path, "utf8");
      await writeFileAtomic(join(staging, "config.json"), editJson(config, configChanges(model, dtype, score)));
      const generation = join(base.dir, "generation_config.json");
      if (!classifies && existsSync(generation))
        await writeFileAtomic(join(staging, "generation_config.json"), await readFile(generation));
      if (tokenizer !== undefined) await saveTokenizer(tokenizer, staging);

      const comparing = { type: "progress", task: "comparing", total: 1, unit: "samples" } as const;
      context.log({ ...comparing, done: 0 });
      written = await openModel(staging, classifies, backend);
      const got = await outputsOf(written, sample, score && written.checkpoint.tensors.get(SCORE));
      say(compareOutputs(expected, got, coarsestChange(parts), outputDir));
      context.log({ ...comparing, done: 1 });
    };
    const { backend: _, ...config } = options;
    const common = {
      createdBy: { package: "@medgpt/core", version: packageVersion(), config },
      inputs: [artifactRef(base), artifactRef(adapter)],
    };
    const details: ModelDetails = {
      family: model.config.modelType,
      parameters: parts.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
      vocabSize: model.options.vocabSize,
      tokenizer: tokenizer?.digest ?? null,
    };
    if (!classifies)
      return await writeArtifact(outputDir, { ...common, kind: "causal-lm", details }, fill, { overwrite });
    const scored = { ...details, pooling: "last-token" as const, center: 0 };
    return await writeArtifact(outputDir, { ...common, kind: "reward-model", details: scored }, fill, { overwrite });
  } finally {
    model.dispose();
    written?.dispose();
  }
}

type Say = (text: string, level?: "info" | "warn") => void;

/** Whether PEFT would put the adapter on a sequence classifier. */
async function isClassifier(adapter: AdapterArtifact): Promise<boolean> {
  const place = join(adapter.dir, "adapter_config.json");
  const task = (await readJsonObject(place))?.["task_type"] ?? "CAUSAL_LM";
  if (task !== "CAUSAL_LM" && task !== "SEQ_CLS")
    throw new InputError(`expected task_type "CAUSAL_LM" or "SEQ_CLS", got ${describeJson(task)}`, { place });
  return task === "SEQ_CLS";
}

/** A classifier has no output head: taking it for tied leaves the base's where it is. */
async function openModel(dir: string, classifies: boolean, backend: Backend): Promise<CausalLm> {
  const config = await readHfConfig(dir);
  const decoder = decoderOptions(config);
  const options = classifies ? { ...decoder, tieWordEmbeddings: true } : decoder;
  const model = new CausalLm(dir, config, options, await openCheckpoint(dir), { backend });
  model.mapWeights();
  return model;
}

/** The score head (labels, hidden): the adapter's, or the base's where the adapter did not train it. */
function scoreHead({ checkpoint, options }: CausalLm, { saved }: Adapter, adapterDir: string): TensorInfo {
  const score = saved.get(SCORE) ?? checkpoint.tensors.get(SCORE);
  if (score === undefined)
    throw new InputError(`neither the adapter nor its base has ${SCORE}, which sequence classification needs`, {
      place: adapterDir,
    });
  const [labels = 0, width] = score.shape;
  if (score.shape.length !== 2 || width !== options.hiddenSize || labels === 0)
    throw new InputError(`${SCORE}: expected shape (labels, ${options.hiddenSize}), got (${score.shape.join(", ")})`, {
      place: score.path,
    });
  return score;
}

/** Refuses an adapter that holds more than its configuration says, which merging would leave out. */
function checkComplete(model: CausalLm, { factors, saved }: Adapter, dir: string, score: TensorInfo | undefined): void {
  const trained = trainedInFull(model);
  if (score !== undefined) trained.add(SCORE);
  const unnamed =
    [...factors.keys()].find((module) => model.lora(module) === undefined) ??
    [...saved.keys()].find((name) => !trained.has(name));
  if (unnamed !== undefined)
    throw new InputError(
      `the adapter has weights for ${unnamed}, which adapter_config.json names neither in target_modules nor in modules_to_save`,
      { place: dir },
    );
}

/** Names of the weights that the adapter replaces. */
function trainedInFull({ arena }: CausalLm): Set<string> {
  const names = arena?.parameters.map(({ name }) => name) ?? [];
  return new Set(names.filter((name) => !name.includes(".lora_")));
}

/** Whether the adapter gave a tied model a head of its own. */
function isUntied(model: CausalLm): boolean {
  const { tieWordEmbeddings, names } = model.options;
  const trained = trainedInFull(model);
  return tieWordEmbeddings && [names.embedding, names.head].some((module) => trained.has(`${module}.weight`));
}

async function openTokenizer(
  given: string | undefined,
  adapterDir: string,
  baseDir: string,
  say: Say,
): Promise<Tokenizer | undefined> {
  const dir = given ?? [adapterDir, baseDir].find((each) => existsSync(join(each, "tokenizer.json")));
  if (dir !== undefined) return loadTokenizer(dir);
  say("neither the adapter nor its base has a tokenizer.json, so the merged model has none", "warn");
  return undefined;
}

function checkVocabulary({ options }: CausalLm, tokenizer: Tokenizer | undefined): void {
  if (tokenizer !== undefined && tokenizer.vocabSize > options.vocabSize)
    throw new InputError(
      `the tokenizer has ${tokenizer.vocabSize} tokens and the model only ${options.vocabSize} embeddings; give the one that the adapter was trained with`,
      { place: tokenizer.dir },
    );
}

/** A weight of the merged model. */
interface Part extends TensorToWrite {
  readonly dtype: WeightDType;
  /** Whether it is not the base's, byte for byte. */
  readonly changed: boolean;
  readonly data: () => AsyncIterable<Uint8Array>;
}

/** Every weight of the merged model, in the model's order. */
function mergedParts(model: CausalLm, asked: WeightDType | undefined, score: TensorInfo | undefined): Part[] {
  const { backend, options } = model;
  const specs = weightSpecs(options).map(({ name, shape }) => ({ name, shape }));
  if (score === undefined && isUntied(model))
    specs.push({ name: `${options.names.head}.weight`, shape: [options.vocabSize, options.hiddenSize] });
  const trained = trainedInFull(model);
  const parts = specs.map(({ name, shape }): Part => {
    const source = model.source(name);
    const own = floatDType(source);
    const dtype = asked ?? own;
    const module = name.replace(/\.weight$/, "");
    const part = { name, shape, dtype, changed: true };
    if (trained.has(name)) return { ...part, data: () => blocks(model.weight(name), dtype) };
    if (module !== name && model.lora(module) !== undefined)
      return { ...part, data: () => mergedBlocks(model, module, dtype) };
    return { ...part, changed: dtype !== own, data: () => mappedBlocks(backend, source, dtype) };
  });
  if (score === undefined) return parts;
  const { shape } = score;
  const dtype = asked ?? floatDType(model.source(`${options.names.embedding}.weight`));
  const changed = dtype !== floatDType(score);
  return [...parts, { name: SCORE, shape, dtype, changed, data: () => mappedBlocks(backend, score, dtype) }];
}

function floatDType(info: TensorInfo): WeightDType {
  const dtype = loadableDType(info);
  if (dtype === "i32" || dtype === "u8")
    throw new InputError(`${info.name}: expected weights in floating point, got ${info.storedDtype}`, {
      place: info.path,
    });
  return dtype;
}

/** The bytes of W + scale B A, or of its transpose where the weight is stored so. */
async function* mergedBlocks(model: CausalLm, module: string, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const { backend, options } = model;
  const weight = model.weight(`${module}.weight`);
  const { a, b, scale } = model.lora(module) as NonNullable<ReturnType<CausalLm["lora"]>>;
  const [rows, cols] = weight.shape as [number, number];
  const [rank, width] = a.shape as [number, number];
  const transposed = "fanInFanOut" in options && options.fanInFanOut === true;
  const from = ({ buffer, offset, dtype }: View, start: number): View => ({ buffer, offset: offset + start, dtype });
  const step = Math.max(1, Math.floor(BLOCK / cols));
  for (let row = 0; row < rows; row += step) {
    const m = Math.min(step, rows - row);
    const factors = transposed
      ? { a: from(a, row), lda: width, aTrans: true, b, ldb: rank, bTrans: true }
      : { a: from(b, row * rank), lda: rank, aTrans: false, b: a, ldb: width, bTrans: false };
    const sum = scope(() => {
      const sum = empty(backend, [m, cols], "f32");
      backend.kernels.copy({ out: sum, x: weight.view([m, cols], row * cols), count: sum.size });
      const terms = [{ ...factors, k: rank, scale }];
      backend.kernels.matMul({ out: sum, ldc: cols, m, n: cols, bias: undefined, accumulate: 1, compute: 0, terms });
      return sum;
    });
    try {
      yield* blocks(sum, dtype);
    } finally {
      sum.dispose();
    }
  }
}

async function* mappedBlocks(backend: Backend, info: TensorInfo, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const value = mapped(backend, info.path, info.byteOffset, loadableDType(info), info.shape);
  try {
    yield* blocks(value, dtype);
  } finally {
    value.dispose();
  }
}

/** The bytes of a tensor in a dtype, rounded by the backend where it has that dtype. */
async function* blocks(value: Tensor, dtype: WeightDType): AsyncIterable<Uint8Array> {
  const { backend } = value;
  const casts = value.dtype !== dtype && backend.dtypes.includes("bf16");
  for (let start = 0; start < value.size; start += BLOCK) {
    const count = Math.min(BLOCK, value.size - start);
    const block = scope(() => {
      const part = value.view([count], start);
      if (!casts) return part;
      const out = empty(backend, [count], dtype);
      backend.kernels.copy({ out, x: part, count });
      return out;
    });
    try {
      yield block.dtype === dtype
        ? await backend.readBytes(block, count)
        : rounded((await block.read()) as Float32Array, dtype);
    } finally {
      block.dispose();
    }
  }
}

function rounded(values: Float32Array, dtype: WeightDType): Uint8Array {
  const stored = dtype === "f32" ? values : Uint16Array.from(values, dtype === "bf16" ? f32ToBf16 : f32ToF16);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function withProgress(parts: readonly Part[], { log, signal }: RunContext): Part[] {
  const total = totalBytes(parts);
  let done = 0;
  return parts.map((part) => ({
    ...part,
    data: async function* () {
      for await (const block of part.data()) {
        signal?.throwIfAborted();
        yield block;
        log({ type: "progress", task: "merging", done: (done += block.byteLength), total, unit: "bytes" });
      }
    },
  }));
}

function totalBytes(parts: readonly Part[]): number {
  return parts.reduce((sum, { dtype, shape }) => sum + byteLength(dtype, shape), 0);
}

/** Refuses to begin what cannot be finished. */
async function checkRoom(outputDir: string, parts: readonly Part[]): Promise<void> {
  let dir = resolve(outputDir);
  while (!existsSync(dir)) dir = dirname(dir);
  const { bavail, bsize } = await statfs(dir);
  const needed = totalBytes(parts);
  if (bavail * bsize < needed)
    throw new InputError(
      `the merged model takes ${megabytes(needed)} MB and the disk has ${megabytes(bavail * bsize)} MB left; free some or give another folder`,
      { place: outputDir },
    );
}

function megabytes(bytes: number): string {
  return Math.ceil(bytes / 1e6).toLocaleString("en");
}

/** Names what the base's files hold beside the model's weights, which transformers leaves out as well. */
function sayLeftOut(model: CausalLm, say: Say): void {
  const { options, checkpoint } = model;
  const names = [...weightSpecs(options).map(({ name }) => name), `${options.names.head}.weight`];
  const used = new Set([...names.map((name) => model.source(name).name), `${options.names.head}.weight`, SCORE]);
  const rest = [...checkpoint.tensors.keys()].filter((name) => !used.has(name));
  if (rest.length === 0) return;
  const more = rest.length > 3 ? ` and ${rest.length - 3} more` : "";
  say(`left out, because the model has no such weight: ${rest.slice(0, 3).join(", ")}${more}`);
}

/** What config.json says of the merged model that the base's does not. */
function configChanges(
  model: CausalLm,
  dtype: WeightDType | undefined,
  score: TensorInfo | undefined,
): Record<string, unknown> {
  const stored = dtype === undefined ? {} : { torch_dtype: undefined, dtype: TORCH_DTYPES[dtype] };
  if (score === undefined) return isUntied(model) ? { ...stored, tie_word_embeddings: false } : stored;
  const labels = Array.from({ length: score.shape[0] as number }, (_, index) => `LABEL_${index}`);
  return {
    ...stored,
    architectures: [classifierName(model)],
    id2label: Object.fromEntries(labels.map((label, index) => [index, label])),
    label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
  };
}

/** LlamaForCausalLM becomes LlamaForSequenceClassification. */
function classifierName({ config }: CausalLm): string {
  const name: unknown = (config.values["architectures"] as unknown[] | undefined)?.[0];
  const [, family] = /^(\w+?)(ForCausalLM|LMHeadModel|ForSequenceClassification|Model)$/.exec(String(name)) ?? [];
  if (family === undefined)
    throw new InputError(`expected architectures to name a class such as LlamaForCausalLM, got ${describeJson(name)}`, {
      place: config.path,
    });
  return `${family}ForSequenceClassification`;
}

function sampleIds({ options }: CausalLm, tokenizer: Tokenizer | undefined): Int32Array {
  const { vocabSize, maxPositions = SAMPLE_TOKENS } = options;
  const length = Math.min(SAMPLE_TOKENS, maxPositions);
  return (
    tokenizer?.encode(SAMPLE).slice(0, length) ?? Int32Array.from({ length }, (_, i) => (7919 * i + 11) % vocabSize)
  );
}

/** Logits (tokens, vocabulary), or scores (tokens, labels), of a text in f32. */
async function outputsOf(model: CausalLm, ids: Int32Array, score: TensorInfo | undefined): Promise<Float32Array> {
  const { backend } = model;
  const outputs = scope(() =>
    noGrad(() => {
      const hidden = model.forward(collate([{ ids }]));
      if (score === undefined) return model.logits(hidden);
      const weight = mapped(backend, score.path, score.byteOffset, loadableDType(score), score.shape);
      return linear(hidden, [{ weight, dtype: "f32" }], "f32")[0] as Tensor;
    }),
  );
  try {
    return (await outputs.read()) as Float32Array;
  } finally {
    outputs.dispose();
  }
}

function coarsestChange(parts: readonly Part[]): WeightDType {
  const changed = new Set(parts.flatMap((part) => (part.changed ? [part.dtype] : [])));
  return (["bf16", "f16"] as const).find((dtype) => changed.has(dtype)) ?? "f32";
}

/**
 * Compares the outputs of base + adapter with those of the merged model.
 * @param dtype the coarsest that a changed weight was rounded to
 * @returns a sentence with the largest difference
 * @throws InputError when the outputs differ by more than rounding explains, or are not finite
 */
export function compareOutputs(
  expected: Float32Array,
  merged: Float32Array,
  dtype: WeightDType,
  outputDir: string,
): string {
  let [largest, squares, size] = [0, 0, 0];
  expected.forEach((value, index) => {
    const difference = Math.abs(value - (merged[index] ?? NaN));
    largest = Math.max(largest, difference);
    squares += difference ** 2;
    size += value ** 2;
  });
  const [mean, allowed] = [squares, size * EXPLAINED[dtype] ** 2].map((sum) => Math.sqrt(sum / expected.length));
  const [most, rms, explained] = [largest, mean!, allowed!].map((value) => value.toExponential(1));
  const found = `the largest of ${expected.length.toLocaleString("en")} differences is ${most}, their root mean square ${rms}; rounding to ${TORCH_DTYPES[dtype]} explains ${explained}`;
  if (!(mean! <= allowed!))
    throw new InputError(
      `the merged model does not compute what base + adapter do: ${found}; nothing was written${dtype === "f32" ? "" : ", float32 rounds less"}`,
      { place: outputDir },
    );
  return `merged against base + adapter on a sample: ${found}`;
}

function packageVersion(): string {
  const file = join(import.meta.dirname, "../../package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
