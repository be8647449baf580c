/**
 * Which flags an unknown one may have meant: those that other programs call by that name, then those that have all of its
 * words, then the one nearest in spelling. A wrong suggestion is worse than none.
 */
import { nearestName } from "./nearest-name.js";
import type { Field } from "./schema.js";

/** Names that other programs use, each with flags that it may mean: the first one that the command has. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  adapter: ["peft_path", "lora_model"],
  alpha: ["lora_alpha"],
  base_model: ["model_name_or_path"],
  batch: ["per_device_train_batch_size", "batch_size"],
  batch_size: ["per_device_train_batch_size"],
  bs: ["per_device_train_batch_size", "batch_size"],
  block_size: ["model_max_length"],
  context_length: ["block_size", "model_max_length"],
  cutoff_len: ["block_size", "model_max_length"],
  data: ["train_file_dir", "data_file"],
  data_dir: ["train_file_dir"],
  data_path: ["train_file_dir", "data_file"],
  dataset: ["dataset_name", "train_file_dir", "data_file"],
  device: ["backend"],
  dropout: ["lora_dropout"],
  epoch: ["num_train_epochs"],
  eval_data: ["validation_file_dir"],
  eval_file: ["validation_file_dir"],
  grad_accum: ["gradient_accumulation_steps"],
  grad_clip: ["max_grad_norm"],
  iterations: ["max_steps"],
  length: ["block_size", "model_max_length", "max_new_tokens"],
  lora: ["use_peft", "lora_model"],
  lora_r: ["lora_rank"],
  lr: ["learning_rate"],
  lr_scheduler: ["lr_scheduler_type"],
  max_len: ["block_size", "model_max_length", "max_new_tokens"],
  max_length: ["block_size", "model_max_length", "max_new_tokens"],
  max_seq_len: ["block_size", "model_max_length"],
  max_seq_length: ["block_size", "model_max_length"],
  max_tokens: ["max_new_tokens"],
  model_max_length: ["block_size"],
  model: ["model_name_or_path"],
  model_id: ["model_name_or_path"],
  model_path: ["model_name_or_path"],
  num_steps: ["max_steps"],
  optimizer: ["optim"],
  out: ["output_dir", "output_file"],
  out_dir: ["output_dir"],
  output: ["output_dir", "output_file", "out"],
  output_path: ["output_dir", "output_file", "out"],
  precision: ["torch_dtype"],
  r: ["lora_rank"],
  rank: ["lora_rank"],
  save_dir: ["output_dir"],
  scheduler: ["lr_scheduler_type"],
  seq_len: ["block_size", "model_max_length"],
  steps: ["max_steps"],
  train_batch_size: ["per_device_train_batch_size"],
  train_data: ["train_file_dir"],
  train_file: ["train_file_dir"],
  valid_file: ["validation_file_dir"],
  warmup: ["warmup_steps"],
};

/** More flags with the same words than this are no hint. */
const MOST = 3;

/** Names of the fields that `written` (without dashes before it) may have meant, the likeliest first. Empty if it is unclear. */
export function suggestFlags(written: string, fields: readonly Field[]): string[] {
  const name = written
    .replace(/([a-z\d])([A-Z])/g, "$1_$2")
    .replaceAll("-", "_")
    .toLowerCase();
  const meant = Object.hasOwn(SYNONYMS, name) ? SYNONYMS[name] : undefined;
  const synonym = meant?.find((each) => fields.some((field) => field.name === each || field.alias.includes(each)));
  if (synonym !== undefined) return [synonym];
  // Words of a megabyte are nobody's; a flag that changes nothing is suggested for its own misspelling alone.
  const words = name.length > 100 ? [] : name.split("_").filter((word) => word !== "");
  const same = fields.filter(
    (field) =>
      field.class === "acts" && words.length > 0 && words.every((word) => field.name.split("_").includes(word)),
  );
  if (same.length > 0 && same.length <= MOST) return same.map((field) => field.name);
  const nearest = nearestName(
    name,
    fields.flatMap((field) => [field.name, ...field.alias]),
  );
  return nearest === undefined ? [] : [nearest];
}
