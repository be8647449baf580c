import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sealArtifact, type AdapterArtifact, type CausalLmArtifact } from "@medgpt/artifacts";
import { fieldsOf } from "@medgpt/core/config";
import { saveAdapter, saveCausalLm } from "@medgpt/core/models";
import { saveTokenizer } from "@medgpt/core/tokenizer";
import { writeTrainerState, type TrainerState } from "@medgpt/core/training";
import { pretrainSchema, type PretrainConfig } from "./config.js";
import type { Loaded } from "./load.js";
import { writeModelCard } from "./model-card.js";

/** Writes the adapter or the model; returns the names of its files. */
export function saveModel({ model, lora }: Loaded, config: PretrainConfig, dir: string): Promise<string[]> {
  return lora === undefined ? saveCausalLm(model, dir) : saveAdapter(model, lora, config.model_name_or_path, dir);
}

/** Writes everything that belongs to the artifact into output_dir, the manifest last. */
export async function saveArtifact(
  loaded: Loaded,
  config: PretrainConfig,
  state: TrainerState,
): Promise<AdapterArtifact | CausalLmArtifact> {
  const { model, lora, base, inputs, tokenizer } = loaded;
  const dir = config.output_dir;
  const files = [...(await saveModel(loaded, config, dir)), ...(await saveTokenizer(tokenizer, dir))];
  await writeModelCard(dir, config.model_name_or_path, lora);
  await writeTrainerState(dir, state);
  const common = {
    createdBy: { package: "@medgpt/pretrain", version: packageVersion(), config: withoutSecrets(config) },
    inputs,
    // Metrics are no part of the artifact: another evaluation may replace them.
    files: [...files, "README.md", "trainer_state.json"],
  };
  if (lora === undefined) {
    const { options, parameterCount: parameters } = model;
    const details = {
      family: model.config.modelType,
      parameters,
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
function withoutSecrets(config: PretrainConfig): Readonly<Record<string, unknown>> {
  const secret = new Set(fieldsOf(pretrainSchema).flatMap((field) => (field.secret ? [field.name] : [])));
  return Object.fromEntries(Object.entries(config).filter(([name]) => !secret.has(name)));
}

function packageVersion(): string {
  const file = join(import.meta.dirname, "../package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
