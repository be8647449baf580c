/** What a checkpoint keeps of the run that saved it, and what a run that goes on from it does differently. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { openAdapterFiles } from "../checkpoint/peft.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { fieldsOf } from "../config/schema.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import { RUN_RECORD } from "../training/checkpoints.js";
import { stringifySorted } from "../training/trainer-state.js";
import type { StageFlags } from "./flags.js";
import type { OpenedModel } from "./open-model.js";
import { withoutSecrets } from "./save-artifact.js";
import type { StageInfo } from "./stage-info.js";

/** What decides a run beside its flags: numbers and words, or digests of what is too large to keep. */
export type Traits = Readonly<Record<string, string | number>>;

export interface RunRecord {
  /** The resolved configuration. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly traits: Traits;
  /** The folder of TensorBoard files, below output_dir. */
  readonly logging_dir: string | null;
}

/** Flags by whose values a run's steps do not change: where things are, what is said, and how far it goes. */
const FREE_TOPICS: ReadonlySet<string> = new Set([
  ...["LoRA", "Logging", "Evaluation", "Saving", "Processes and devices", "Running"],
]);
const FREE: ReadonlySet<string> = new Set([
  // The weights, the data and the precision themselves are compared.
  ...["model_name_or_path", "tokenizer_name_or_path", "model_revision", "model_type"],
  ...["train_file_dir", "validation_file_dir", "dataset_name", "dataset_config_name"],
  ...["validation_split_percentage", "max_train_samples", "max_eval_samples", "template_name"],
  ...["fp16", "bf16", "torch_dtype"],
  // A stream refuses to go on with other ones.
  ...["streaming", "shuffle_buffer_size"],
  // A longer run is the same one.
  ...["num_train_epochs", "max_steps"],
  // The seeds are in rng_state.json.
  ...["seed", "data_seed"],
  ...["cache_dir", "overwrite_cache", "do_train", "do_eval", "output_dir", "overwrite_output_dir"],
  ...["resume_from_checkpoint", "gradient_checkpointing", "max_memory", "optim"],
]);

/** @param traits those of the data */
export function runRecord(
  { base, tokenizer, model }: OpenedModel,
  config: StageFlags,
  { schema }: StageInfo,
  traits: Traits,
): Omit<RunRecord, "logging_dir"> {
  const model_ = { "the base model": base.digest ?? "", "the tokenizer": tokenizer.digest, precision: model.compute };
  return { config: withoutSecrets(config, schema), traits: { ...model_, ...traits } };
}

/** A digest of anything that JSON can express. */
export function digestOf(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

/**
 * undefined where a checkpoint has none, as those of earlier versions.
 * @throws InputError where it has one that cannot be read
 */
export async function readRunRecord(checkpoint: string): Promise<RunRecord | undefined> {
  const place = join(checkpoint, RUN_RECORD);
  const record = await readJsonObject(place);
  if (record === undefined) return undefined;
  const { config, traits, logging_dir: dir } = record;
  for (const [key, value] of Object.entries({ config, traits }))
    if (!isJsonObject(value))
      throw new InputError(`expected an object at "${key}", got ${describeJson(value)}`, { place });
  // Only the name that we give a folder: what the file says must not lead elsewhere.
  const logging_dir = typeof dir === "string" && /^runs\/[^/\\]+$/.test(dir) && !dir.endsWith("/..") ? dir : null;
  return { config: config as RunRecord["config"], traits: traits as Traits, logging_dir };
}

/** What is different in a run from one before it, in a few words each. What either of them does not know is left out. */
export function differencesBetween(
  before: Pick<RunRecord, "config" | "traits">,
  now: Pick<RunRecord, "config" | "traits">,
  { schema }: Pick<StageInfo, "schema">,
): string[] {
  const traits = Object.entries(now.traits)
    .filter(([name, value]) => name in before.traits && before.traits[name] !== value)
    .map(([name, value]) => (isDigest(value) ? `${name} changed` : was(name, before.traits[name], value)));
  const flags = fieldsOf(schema)
    .filter((field) => field.class === "acts" && !FREE.has(field.name) && !FREE_TOPICS.has(field.topic))
    .map(({ name }) => [name, before.config[name], now.config[name]] as const)
    .filter(([name, old, value]) => name in before.config && stringifySorted(old, 0) !== stringifySorted(value, 0))
    .map(([name, old, value]) => was(name, old, value));
  return [...traits, ...flags];
}

/**
 * What is different in an adapter from the one in a checkpoint, in a few words each.
 * @throws InputError where its weights are of other shapes or modules
 */
export async function compareAdapter(
  { model, lora }: Pick<OpenedModel, "model" | "lora">,
  checkpoint: string,
): Promise<string[]> {
  if (lora === undefined) {
    if (!existsSync(join(checkpoint, "adapter_config.json"))) return [];
    throw otherAdapter(checkpoint, "use_peft False", "holds an adapter", "use_peft True");
  }
  const { config: before } = await openAdapterFiles(checkpoint);
  if (before.r !== lora.r)
    throw otherAdapter(checkpoint, `lora_rank ${lora.r}`, `has rank ${before.r}`, `lora_rank ${before.r}`);
  const modules = (config: LoraConfig) => model.base.targets(config);
  const [old, now] = [modules(before), modules(lora)];
  if (old.join() !== now.join()) {
    const targets = typeof before.target_modules === "string" ? before.target_modules : before.target_modules.join(",");
    const [lacks, adds] = [old.filter((name) => !now.includes(name)), now.filter((name) => !old.includes(name))];
    const one = lacks[0] === undefined ? `has none for ${adds[0]}` : `has one for ${lacks[0]}`;
    throw otherAdapter(checkpoint, "target_modules", `trains other modules: it ${one}`, `target_modules ${targets}`);
  }
  const saved = (config: LoraConfig) => [...config.modules_to_save].sort().join(",");
  if (saved(before) !== saved(lora)) {
    const [theirs, ours] = [saved(before) || "None", saved(lora) || "None"];
    throw otherAdapter(checkpoint, `modules_to_save ${ours}`, `was saved with ${theirs}`, `modules_to_save ${theirs}`);
  }
  return (["lora_alpha", "lora_dropout", "use_rslora"] as const)
    .filter((key) => before[key] !== lora[key])
    .map((key) => was(key, before[key], lora[key]));
}

function otherAdapter(place: string, asked: string, found: string, give: string): InputError {
  const message = `--${asked}: this checkpoint ${found}, and a run goes on with what it began with; give --${give}, or begin anew without --resume_from_checkpoint`;
  return new InputError(message, { place });
}

function was(name: string, before: unknown, now: unknown): string {
  return `${name} was ${describeJson(before)} and is ${describeJson(now)}`;
}

function isDigest(value: string | number): boolean {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}
