import { mkdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { sealArtifact, writeError, type AdapterArtifact, type CausalLmArtifact } from "@medgpt/artifacts";
import type { z } from "zod";
import { readPackage } from "../config/read-package.js";
import { fieldsOf } from "../config/schema.js";
import { Adapter } from "../nn/adapter.js";
import { saveTokenizer } from "../tokenizer/save-tokenizer.js";
import { placeOver, RESULT_FOLDER } from "../training/replace.js";
import { writeResults } from "../training/results.js";
import type { TrainingResult } from "../training/train-rows.js";
import { writeTrainerState, type TrainerState } from "../training/trainer-state.js";
import type { StageFlags } from "./flags.js";
import { writeModelCard } from "./model-card.js";
import type { OpenedModel } from "./open-model.js";
import type { StageInfo } from "./stage-info.js";

/** Writes the adapter or the model; returns the names of its files. */
export function saveModel(
  { trained }: OpenedModel,
  { model_name_or_path }: Pick<StageFlags, "model_name_or_path">,
  dir: string,
): Promise<string[]> {
  return trained instanceof Adapter ? trained.save(dir, model_name_or_path) : trained.save(dir);
}

/**
 * Writes everything that belongs to the artifact, and the metrics of the training, and puts it into output_dir in the place
 * of what another run left there.
 */
export async function saveArtifact(
  opened: OpenedModel,
  config: StageFlags,
  { state, metrics, ownUpTo }: Pick<TrainingResult, "state" | "metrics" | "ownUpTo">,
  stage: StageInfo,
): Promise<AdapterArtifact | CausalLmArtifact> {
  const aside = join(config.output_dir, RESULT_FOLDER);
  try {
    await rm(aside, { recursive: true, force: true });
    await mkdir(aside);
    const artifact = await writeArtifactFiles(aside, opened, config, state, stage);
    // Metrics are no part of the artifact: another evaluation may replace them.
    await writeResults(aside, "train", metrics);
    await placeOver(config.output_dir, aside, "result", ownUpTo);
    return { ...artifact, dir: resolve(config.output_dir) };
  } catch (error) {
    // Best effort: what went wrong is thrown already.
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(error, aside);
  }
}

async function writeArtifactFiles(
  dir: string,
  opened: OpenedModel,
  config: StageFlags,
  state: TrainerState,
  stage: StageInfo,
): Promise<AdapterArtifact | CausalLmArtifact> {
  const { model, lora, base, inputs, tokenizer, chatTemplate } = opened;
  const files = [...(await saveModel(opened, config, dir)), ...(await saveTokenizer(tokenizer, dir, chatTemplate))];
  const { name, version } = readPackage(stage.packageJson);
  await writeModelCard(dir, config.output_dir, config.model_name_or_path, lora, { ...stage, package: name });
  await writeTrainerState(dir, state);
  const common = {
    createdBy: { package: name, version, config: withoutSecrets(config, stage.schema) },
    inputs,
    files: [...files, "README.md", "trainer_state.json"],
  };
  if (lora === undefined) {
    const { options, base: weights } = model;
    const details = {
      family: model.config.modelType,
      parameters: weights.parameterCount,
      vocabSize: options.vocabSize,
      tokenizer: tokenizer.digest,
    };
    return sealArtifact(dir, { ...common, kind: "causal-lm", details });
  }
  const targets = lora.target_modules;
  const targetModules = typeof targets === "string" ? targets : [...targets];
  const details = { base, rank: lora.r, alpha: lora.lora_alpha, targetModules };
  return sealArtifact(dir, { ...common, kind: "adapter", details });
}

/** The configuration without access tokens, to be written down. */
export function withoutSecrets(config: object, schema: z.ZodObject): Readonly<Record<string, unknown>> {
  const secret = new Set(fieldsOf(schema).flatMap((field) => (field.secret ? [field.name] : [])));
  return Object.fromEntries(Object.entries(config).filter(([name]) => !secret.has(name)));
}
