/**
 * The flags of a training stage, in groups that it composes: those that MedicalGPT's scripts define alike, those of
 * transformers' TrainingArguments under their names there (with the older names that published command lines still use),
 * and a few of ours. Defaults are MedicalGPT's where it sets one, else transformers'. Flags without effect, or refused,
 * stand apart (`…Compat`), by the stages that their reasons are true of.
 */
import type { z } from "zod";
import { deviceFlags } from "../backends/device-flags.js";
import { adapterFlags } from "./flags/adapter-flags.js";
import { dataFlags } from "./flags/data-flags.js";
import { engineCompat } from "./flags/engine-compat.js";
import { modelFlags } from "./flags/model-flags.js";
import { noGenerationCompat } from "./flags/no-generation-compat.js";
import { oneProcessCompat } from "./flags/one-process-compat.js";
import { rowCompat } from "./flags/row-compat.js";
import { trainerFlags } from "./flags/trainer-flags.js";

/**
 * What opening a model, training and saving read, in the order of --help. A stage that spreads its own flags after them
 * replaces those of the same name.
 */
export const stageFlags = { ...modelFlags, ...dataFlags, ...adapterFlags, ...trainerFlags, ...deviceFlags };

/** The same and the flags without effect, for a stage that trains on rows in one process and generates no text. */
export const rowStageFlags = {
  ...stageFlags,
  ...engineCompat,
  ...oneProcessCompat,
  ...noGenerationCompat,
  ...rowCompat,
};

/** The flags that most runs need, for a plain --help. */
export const mainStageFlags = [
  "train_file_dir",
  "validation_file_dir",
  "dataset_name",
  "use_peft",
  "lora_rank",
  "do_train",
  "do_eval",
  "output_dir",
  "overwrite_output_dir",
  "resume_from_checkpoint",
  "num_train_epochs",
  "max_steps",
  "per_device_train_batch_size",
  "gradient_accumulation_steps",
  "learning_rate",
  "bf16",
  "gradient_checkpointing",
  "logging_steps",
  "save_steps",
] as const satisfies readonly (keyof typeof stageFlags)[];

export type StageFlags = z.output<z.ZodObject<typeof stageFlags>>;
