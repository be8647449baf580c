/**
 * Merging a LoRA adapter into its base: a whole model in Hugging Face layout, as PEFT's merge_and_unload and
 * transformers' save_pretrained give it. Weights go from file to file in blocks of rows, so memory holds what the adapter
 * trained and a few blocks; base and result are mapped.
 */
import { existsSync } from "node:fs";
import { readFile, statfs } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import {
  artifactRef,
  InputError,
  openArtifact,
  writeArtifact,
  writeFileAtomic,
  type CausalLmArtifact,
  type ModelDetails,
  type RewardModelArtifact,
} from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import type { RopeScaling } from "../checkpoint/hf-config.js";
import { editJson } from "../json/edit-json.js";
import { readPackage } from "../config/read-package.js";
import { openAdapterFiles } from "../checkpoint/peft.js";
import { describeJson } from "../json/read-json-object.js";
import { writeCheckpoint } from "../checkpoint/write-checkpoint.js";
import { collate } from "../data/packing/collate.js";
import { openAdapter, type Adapter } from "../nn/adapter.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { sizeOf } from "../tensor/tensor.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { saveTokenizer } from "../tokenizer/save-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { RunContext } from "../run/run-context.js";
import { otherBase } from "./adapter-base.js";
import { openBase, type Base } from "./base.js";
import { checkTokenizer } from "./check-tokenizer.js";
import { compareOutputs, TORCH_DTYPES } from "./compare-outputs.js";
import { LmHead, ScoreHead } from "./head.js";
import {
  coarsestChange,
  isUntied,
  mergedParts,
  totalBytes,
  withProgress,
  type Part,
  type WeightDType,
} from "./merged-weights.js";
import { causalLm, scorer, type Role } from "./role.js";

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
  /** Merge although the adapter's manifest says that it was trained on another base; default is to refuse. */
  readonly allowOtherBase?: boolean | undefined;
  /** As the adapter was trained, where its rotary positions were stretched; config.json of the result says so. */
  readonly ropeScaling?: RopeScaling | undefined;
  readonly backend: Backend;
}

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
  const classifies = (await openAdapterFiles(adapter.dir)).taskType === "SEQ_CLS";
  const base = classifies
    ? await openArtifact(options.base, ["causal-lm", "reward-model"], { onProgress })
    : await openArtifact(options.base, "causal-lm", { onProgress });
  for (const { dir } of [base, adapter])
    if (resolve(outputDir) === dir)
      throw new InputError("the merged model would take the place of what it is made from; give another folder", {
        place: outputDir,
      });
  const other = otherBase(adapter, base);
  if (other !== undefined && options.allowOtherBase !== true)
    throw new InputError(`${other}; give that one, or --allow_other_base to merge all the same`, {
      place: options.adapter,
    });
  if (other !== undefined) say(other, "warn");

  const warn = (text: string): void => say(text, "warn");
  const weights = await openBase(base.dir, { backend, ropeScaling: options.ropeScaling, warn });
  let written: Base | undefined;
  const adapters: Adapter[] = [];
  try {
    adapters.push(await openAdapter(weights, adapter.dir, warn));
    const model = classifies ? scorer(weights, { adapters }) : causalLm(weights, { adapters });
    const tokenizer = await openTokenizer(options.tokenizer, adapter.dir, base.dir, say);
    if (tokenizer !== undefined) checkTokenizer(tokenizer, model);
    const parts = mergedParts(model, dtype);
    await checkRoom(outputDir, parts);

    const sample = sampleIds(model, tokenizer);
    const expected = await outputsOf(model, sample);
    const fill = async (staging: string): Promise<void> => {
      await writeCheckpoint(staging, withProgress(parts, context), maxShardBytes);
      const config = await readFile(model.config.path, "utf8");
      await writeFileAtomic(join(staging, "config.json"), editJson(config, configChanges(model, dtype)));
      const generation = join(base.dir, "generation_config.json");
      if (!classifies && existsSync(generation))
        await writeFileAtomic(join(staging, "generation_config.json"), await readFile(generation));
      if (tokenizer !== undefined) await saveTokenizer(tokenizer, staging);

      const comparing = { type: "progress", task: "comparing", total: 1, unit: "samples" } as const;
      context.log({ ...comparing, done: 0 });
      written = await openBase(staging, { backend });
      const got = await outputsOf(classifies ? scorer(written) : causalLm(written), sample);
      say(compareOutputs(expected, got, coarsestChange(parts), outputDir));
      context.log({ ...comparing, done: 1 });
    };
    const { backend: _, ...config } = options;
    const { name, version } = readPackage(new URL("../../package.json", import.meta.url));
    const common = {
      createdBy: { package: name, version, config },
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
    for (const tensors of [...adapters, weights, written]) tensors?.dispose();
  }
}

type Say = (text: string, level?: "info" | "warn") => void;

async function openTokenizer(
  given: string | undefined,
  adapterDir: string,
  baseDir: string,
  say: Say,
): Promise<Tokenizer | undefined> {
  const dir = given ?? [adapterDir, baseDir].find((each) => existsSync(join(each, "tokenizer.json")));
  if (dir !== undefined) return loadTokenizer(dir, { warn: (text) => say(text, "warn") });
  say("neither the adapter nor its base has a tokenizer.json, so the merged model has none", "warn");
  return undefined;
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

/** What config.json says of the merged model that the base's does not. */
function configChanges(model: Role, dtype: WeightDType | undefined): Record<string, unknown> {
  const stored = dtype === undefined ? {} : { torch_dtype: undefined, dtype: TORCH_DTYPES[dtype] };
  const changes = { ...model.config.changes, ...stored };
  const { head } = model;
  if (head instanceof LmHead) return isUntied(model) ? { ...changes, tie_word_embeddings: false } : changes;
  const labels = Array.from({ length: head.weight.shape[0]! }, (_, index) => `LABEL_${index}`);
  return {
    ...changes,
    architectures: [classifierName(model)],
    id2label: Object.fromEntries(labels.map((label, index) => [index, label])),
    label2id: Object.fromEntries(labels.map((label, index) => [label, index])),
  };
}

/** LlamaForCausalLM becomes LlamaForSequenceClassification. */
function classifierName({ config }: Role): string {
  const name: unknown = (config.values["architectures"] as unknown[] | undefined)?.[0];
  const [, family] = /^(\w+?)(ForCausalLM|LMHeadModel|ForSequenceClassification|Model)$/.exec(String(name)) ?? [];
  if (family === undefined)
    throw new InputError(`expected architectures to name a class such as LlamaForCausalLM, got ${describeJson(name)}`, {
      place: config.path,
    });
  return `${family}ForSequenceClassification`;
}

function sampleIds({ options }: Role, tokenizer: Tokenizer | undefined): Int32Array {
  const { vocabSize, maxPositions = SAMPLE_TOKENS } = options;
  const length = Math.min(SAMPLE_TOKENS, maxPositions);
  return (
    tokenizer?.encode(SAMPLE).slice(0, length) ?? Int32Array.from({ length }, (_, i) => (7919 * i + 11) % vocabSize)
  );
}

/** Logits (tokens, vocabulary), or scores (tokens, labels), of a text in f32. */
async function outputsOf(model: Role, ids: Int32Array): Promise<Float32Array> {
  const { head } = model;
  const outputs = scope(() =>
    noGrad(() => {
      const hidden = model.forward(collate([{ ids }]));
      return head instanceof ScoreHead ? head.scores(hidden) : head.logits(hidden);
    }),
  );
  try {
    return (await outputs.read()) as Float32Array;
  } finally {
    outputs.dispose();
  }
}
