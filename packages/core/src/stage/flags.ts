/**
 * The flags that the training stages share: those that MedicalGPT's scripts define alike, those of transformers'
 * TrainingArguments under their names there (with the older names that published command lines still use), and a few of
 * ours. Defaults are MedicalGPT's where it sets one, else transformers'.
 */
import { z } from "zod";
import { modelFlag, peftPathFlag, tokenizerFlag } from "../config/model-flags.js";
import { accepted, flag, refused, topic } from "../config/schema.js";
import { SCHEDULES } from "../optim/schedule.js";

const path = z.string();
const strategy = z.enum(["no", "steps", "epoch"]);
const seed = z
  .int()
  .min(0)
  .max(2 ** 32 - 1);
/** A number of steps or, below 1, a fraction of the run. */
const steps = z
  .number()
  .gt(0)
  .refine(isIntegerOrFraction, { error: "expected a whole number of steps, or a fraction of the run below 1" });
const fraction = z.number().min(0).max(1);
const dropout = z.number().min(0).lt(1);

const ONE_PROCESS = "training runs in one process";
const ON_CPU = "the model runs on the CPU";
const NOTHING_PUSHED = "nothing is pushed to a hub";
const TRACKERS = "runs are tracked in TensorBoard files only";
const NO_LOADER = "rows are read as they are needed, without a loader";
const NO_GENERATION = "this stage generates no text";

const modelFlags = topic("Model", {
  model_name_or_path: modelFlag(
    "The folder of the model (config.json, safetensors files and tokenizer), or its name on the hub, such as Qwen/Qwen2.5-0.5B.",
  ),
  tokenizer_name_or_path: tokenizerFlag(
    "The folder of the tokenizer or its name on the hub, where it is not the model's.",
  ),
  model_revision: flag(z.string().nullable(), {
    default: "main",
    help: "The branch, tag or commit of a model on the hub.",
  }),
  hf_hub_token: flag(z.string().nullable(), {
    default: null,
    help: "The access token for the hub; by default that of HF_TOKEN or of the file that `hf auth login` writes.",
    secret: true,
  }),
  use_fast_tokenizer: accepted(z.boolean(), { default: false, because: "every tokenizer here is a fast one" }),
  trust_remote_code: accepted(z.boolean(), { default: true, because: "no code of a model folder is ever run" }),
  device_map: accepted(z.string().nullable(), { default: "auto", because: "--backend chooses where the model runs" }),
  load_in_8bit: refused(z.boolean(), { default: false, why: "weights are not quantised; leave it out" }),
  load_in_4bit: refused(z.boolean(), { default: false, why: "weights are not quantised; leave it out" }),
});

const dataFlags = topic("Data", {
  train_file_dir: flag(path.nullable(), { default: null, help: "A folder of data to train on." }),
  validation_file_dir: flag(path.nullable(), {
    default: null,
    help: "The same for evaluation; without it the first documents of the training data are set aside.",
  }),
  validation_split_percentage: flag(z.int().min(1).max(99), {
    default: 1,
    help: "The share of the documents set aside for evaluation, in percent.",
  }),
  max_train_samples: flag(z.int().min(-1).nullable(), {
    default: null,
    help: "Train on the first so many rows; None, 0 or -1 for all.",
  }),
  max_eval_samples: flag(z.int().min(-1).nullable(), {
    default: null,
    help: "Evaluate on the first so many rows; None, 0 or -1 for all.",
  }),
  cache_dir: flag(path.nullable(), {
    default: null,
    help: "The folder for the cache of tokenised text; by default medgpt/tokens in the user's cache folder.",
  }),
  preprocessing_num_workers: accepted(z.int().min(1).nullable(), {
    default: null,
    because: "text is tokenised on all cores",
  }),
  overwrite_cache: flag(z.boolean(), { default: false, help: "Tokenise again, even if the cache has the text." }),
  dataset_name: flag(z.string().nullable(), {
    default: null,
    help: "In place of train_file_dir: a data set on the hub, such as owner/name, or its folder; its splits train and validation are used.",
  }),
  dataset_config_name: flag(z.string().nullable(), {
    default: null,
    help: "Which of the data set's configurations, where it has several.",
  }),
});

const loraFlags = topic("LoRA", {
  use_peft: flag(z.boolean(), { default: true, help: "Train a LoRA adapter; False trains every weight." }),
  target_modules: flag(z.array(z.string()).min(1), {
    default: ["all"],
    help: "Names of the modules that get an adapter; `all` for every linear layer but the output head.",
  }),
  lora_rank: flag(z.int().min(1), { default: 8, help: "Rank of the adapter matrices." }),
  lora_alpha: flag(z.number().gt(0), {
    default: 32,
    help: "The adapter's output is scaled by lora_alpha / lora_rank.",
  }),
  lora_dropout: flag(dropout, { default: 0.05, help: "Dropout of the adapter's input in training." }),
  use_rslora: flag(z.boolean(), {
    default: false,
    help: "Scale the adapter's output by lora_alpha / sqrt(lora_rank) instead (rank-stabilised LoRA).",
  }),
  peft_path: peftPathFlag("The folder of an adapter to go on training, or its name on the hub."),
  modules_to_save: flag(z.array(z.string()).nullable(), {
    default: null,
    help: "Modules trained and saved in full beside the adapter, such as embed_tokens,lm_head.",
  }),
  qlora: refused(z.boolean(), { default: false, why: "weights are not quantised; LoRA without --qlora needs no GPU" }),
});

const trainingFlags = topic("Training", {
  do_train: flag(z.boolean(), { default: false, help: "Train." }),
  do_eval: flag(z.boolean(), { default: false, help: "Evaluate: loss, next-token accuracy and perplexity." }),
  output_dir: flag(path, {
    default: "trainer_output",
    help: "The folder for the adapter or model, checkpoints and metrics.",
  }),
  overwrite_output_dir: flag(z.boolean(), {
    default: false,
    help: "Write into output_dir even if it is not empty; what a run before left there goes when the first checkpoint of this one, or its result, is whole.",
  }),
  resume_from_checkpoint: flag(z.union([z.boolean(), z.string()]).nullable(), {
    default: null,
    help: "Go on from the newest checkpoint in output_dir (True), or from the checkpoint folder given.",
  }),
  num_train_epochs: flag(z.number().gt(0).max(1e6), {
    default: 3,
    help: "Passes over the training data; may be a fraction.",
  }),
  max_steps: flag(z.int().min(-1), {
    default: -1,
    help: "Optimizer steps, in place of num_train_epochs where positive.",
  }),
  per_device_train_batch_size: flag(z.int().min(1), { default: 8, help: "Rows in a batch." }),
  gradient_accumulation_steps: flag(z.int().min(1), {
    default: 1,
    help: "Batches in an optimizer step; the loss is the mean over all their tokens.",
  }),
  seed: flag(seed, { default: 42, help: "The seed of everything random: order of the data, LoRA's start, dropout." }),
  data_seed: flag(seed.nullable(), { default: null, help: "Another seed for the order of the data." }),
  train_sampling_strategy: flag(z.enum(["random", "sequential"]), {
    default: "random",
    help: "Whether each epoch takes the rows in a new random order or as they come.",
  }),
  do_predict: accepted(z.boolean(), { default: false, because: "this stage has no prediction phase" }),
  full_determinism: accepted(z.boolean(), { default: false, because: "the same seed always gives the same result" }),
  group_by_length: refused(z.boolean(), {
    default: false,
    why: "batches have no padding, so there is nothing to save by sorting rows; leave it out",
  }),
  dataloader_drop_last: refused(z.boolean(), { default: false, why: "the last, smaller batch is always trained on" }),
  ignore_data_skip: refused(z.boolean(), {
    default: false,
    why: "a resumed run goes on in the data where it stopped",
  }),
  auto_find_batch_size: refused(z.boolean(), {
    default: false,
    why: "the batch size is not searched for; lower --per_device_train_batch_size",
  }),
});

const optimizerFlags = topic("Optimizer", {
  learning_rate: flag(z.number().min(0), { default: 5e-5, help: "The highest learning rate." }),
  lr_scheduler_type: flag(z.enum(SCHEDULES), {
    default: "linear",
    help: "The course of the learning rate after warm-up.",
  }),
  lr_scheduler_kwargs: flag(z.record(z.string(), z.number()).nullable(), {
    default: null,
    help: "Arguments of the schedule as JSON, such as '{\"num_cycles\": 2}'.",
  }),
  warmup_steps: flag(
    z
      .number()
      .min(0)
      .refine(isIntegerOrFraction, { error: "expected a whole number of steps, or a fraction of the run below 1" }),
    { default: 0, help: "Steps over which the learning rate rises from 0; below 1, a fraction of the run." },
  ),
  warmup_ratio: flag(fraction, { default: 0, help: "The same as a fraction of the run, where warmup_steps is 0." }),
  optim: flag(z.enum(["adamw_torch", "adamw_torch_fused"]), {
    default: "adamw_torch",
    help: "AdamW with decoupled weight decay, under either name.",
  }),
  weight_decay: flag(z.number().min(0), { default: 0, help: "Weight decay; biases and norm weights do not decay." }),
  adam_beta1: flag(dropout, { default: 0.9, help: "Decay of AdamW's first moment." }),
  adam_beta2: flag(dropout, { default: 0.999, help: "Decay of AdamW's second moment." }),
  adam_epsilon: flag(z.number().gt(0), { default: 1e-8, help: "AdamW's epsilon." }),
  max_grad_norm: flag(z.number().min(0), { default: 1, help: "Clip the gradient to this norm; 0 never clips." }),
  optim_args: refused(z.string().nullable(), { default: null, why: "AdamW takes its settings from --adam_* flags" }),
  optim_target_modules: refused(z.array(z.string()).nullable(), { default: null, why: "only AdamW is available" }),
  label_smoothing_factor: refused(z.number(), { default: 0, why: "the loss is plain cross entropy; leave it out" }),
});

const precisionFlags = topic("Precision and memory", {
  fp16: flag(z.boolean(), {
    default: false,
    help: "Compute in half precision: bfloat16 where the backend has it, else float32, as the run then says.",
  }),
  bf16: flag(z.boolean(), { default: false, help: "Compute in bfloat16 where the backend has it, else in float32." }),
  torch_dtype: flag(z.enum(["auto", "bfloat16", "float16", "float32"]).nullable(), {
    default: null,
    help: "bfloat16 and float16 ask for half precision as bf16 and fp16 do; the others leave it to these two.",
  }),
  gradient_checkpointing: flag(z.union([z.boolean(), z.literal("full")]), {
    default: false,
    alias: ["activation_checkpointing"],
    help: "Recompute as many layers in the backward pass as --max_memory demands, none if all fits; `full` all of them. The result is the same.",
  }),
  max_memory: flag(z.number().gt(0).nullable(), {
    default: null,
    help: "GiB of memory that the run may take: a run that clearly needs more is refused, and --gradient_checkpointing plans with it; by default what the machine has (for the plan 80 % of it).",
  }),
  gradient_checkpointing_kwargs: accepted(z.record(z.string(), z.unknown()).nullable(), {
    default: null,
    alias: ["activation_checkpointing_kwargs"],
    because: "there is one way of recomputing",
  }),
  tf32: accepted(z.boolean().nullable(), { default: null, because: ON_CPU }),
  fp16_full_eval: accepted(z.boolean(), { default: false, because: "evaluation computes as training does" }),
  bf16_full_eval: accepted(z.boolean(), { default: false, because: "evaluation computes as training does" }),
  half_precision_backend: accepted(z.string().nullable(), { default: "auto", because: ON_CPU }),
  torch_compile: accepted(z.boolean(), { default: false, because: "the kernels are compiled already" }),
  torch_compile_backend: accepted(z.string().nullable(), {
    default: null,
    because: "the kernels are compiled already",
  }),
  torch_compile_mode: accepted(z.string().nullable(), { default: null, because: "the kernels are compiled already" }),
  use_liger_kernel: accepted(z.boolean(), { default: false, because: "the kernels are fused already" }),
  use_cache: accepted(z.boolean(), { default: false, because: "training keeps no cache of keys and values" }),
  torch_empty_cache_steps: accepted(z.int().nullable(), { default: null, because: ON_CPU }),
  skip_memory_metrics: accepted(z.boolean(), { default: true, because: "memory is reported with every step" }),
});

const loggingFlags = topic("Logging", {
  logging_strategy: flag(strategy, { default: "steps", help: "When the loss is logged." }),
  logging_steps: flag(steps, {
    default: 500,
    help: "Steps between two logged losses; below 1, a fraction of the run.",
  }),
  logging_first_step: flag(z.boolean(), { default: false, help: "Log the first step too." }),
  report_to: flag(z.array(z.enum(["tensorboard", "all", "none"])), {
    default: ["none"],
    help: "`tensorboard` writes event files; `all` means the same.",
  }),
  logging_dir: flag(path.nullable(), {
    default: null,
    help: "The folder for TensorBoard files; by default runs/<date>_<host> in output_dir.",
  }),
  run_name: accepted(z.string().nullable(), { default: null, because: TRACKERS }),
  project: accepted(z.string().nullable(), { default: null, because: TRACKERS }),
  logging_nan_inf_filter: accepted(z.boolean(), { default: true, because: "a loss that is not finite ends the run" }),
  log_level: accepted(z.string(), { default: "passive", because: "there is one level of messages" }),
  log_level_replica: accepted(z.string(), { default: "warning", because: ONE_PROCESS }),
  log_on_each_node: accepted(z.boolean(), { default: true, because: ONE_PROCESS }),
  disable_tqdm: accepted(z.boolean().nullable(), {
    default: null,
    because: "the progress bar shows on a terminal only and is gone at the end",
  }),
  include_num_input_tokens_seen: accepted(z.string(), { default: "no", because: "tokens per second are always shown" }),
  profile: flag(path.nullable(), {
    default: null,
    help: "Write every kernel's time, operations and share of the peak to this file, as a Chrome trace, and print a summary.",
  }),
  debug: accepted(z.string().nullable(), { default: null, because: "the checks it asks for are those of PyTorch" }),
});

const evaluationFlags = topic("Evaluation", {
  eval_strategy: flag(strategy, {
    default: "no",
    alias: ["evaluation_strategy"],
    help: "When to evaluate during training; steps or epoch imply do_eval.",
  }),
  eval_steps: flag(steps.nullable(), {
    default: null,
    help: "Steps between two evaluations; below 1, a fraction of the run; by default logging_steps.",
  }),
  eval_on_start: flag(z.boolean(), { default: false, help: "Evaluate before the first step too." }),
  per_device_eval_batch_size: flag(z.int().min(1), { default: 8, help: "Rows in a batch of an evaluation." }),
  prediction_loss_only: accepted(z.boolean(), { default: false, because: "accuracy costs nothing beside the loss" }),
  eval_accumulation_steps: accepted(z.int().nullable(), { default: null, because: "predictions are not kept" }),
  eval_do_concat_batches: accepted(z.boolean(), { default: true, because: "predictions are not kept" }),
  eval_use_gather_object: accepted(z.boolean(), { default: false, because: ONE_PROCESS }),
  batch_eval_metrics: accepted(z.boolean(), { default: false, because: "metrics are summed batch by batch" }),
  include_for_metrics: accepted(z.array(z.string()), { default: [], because: "the metrics need nothing more" }),
  predict_with_generate: accepted(z.boolean(), { default: false, because: NO_GENERATION }),
  generation_max_length: accepted(z.int().nullable(), { default: null, because: NO_GENERATION }),
  generation_num_beams: accepted(z.int().nullable(), { default: null, because: NO_GENERATION }),
  generation_config: accepted(z.string().nullable(), { default: null, because: NO_GENERATION }),
  sortish_sampler: accepted(z.boolean(), { default: false, because: NO_GENERATION }),
  eval_delay: refused(z.number(), { default: 0, why: "evaluation during training starts at once; leave it out" }),
});

const savingFlags = topic("Saving", {
  save_strategy: flag(strategy, { default: "steps", help: "When a checkpoint is saved during training." }),
  save_steps: flag(steps, { default: 500, help: "Steps between two checkpoints; below 1, a fraction of the run." }),
  save_total_limit: flag(z.int().nullable(), {
    default: null,
    help: "Keep so many checkpoints, the newest ones; None or 0 keeps all.",
  }),
  save_only_model: flag(z.boolean(), {
    default: false,
    help: "Leave the optimizer's state out of checkpoints, which then cannot be resumed from.",
  }),
  load_best_model_at_end: flag(z.boolean(), { default: false, help: "End with the checkpoint that evaluated best." }),
  metric_for_best_model: flag(z.string().nullable(), {
    default: null,
    help: "The metric that decides which is best, with or without its prefix eval_; by default the loss.",
  }),
  greater_is_better: flag(z.boolean().nullable(), {
    default: null,
    help: "Whether the best metric is the highest; by default it is unless its name ends in loss.",
  }),
  save_on_each_node: accepted(z.boolean(), { default: false, because: ONE_PROCESS }),
  enable_jit_checkpoint: accepted(z.boolean(), {
    default: false,
    because: "Ctrl-C and SIGTERM always save a checkpoint",
  }),
  restore_callback_states_from_checkpoint: accepted(z.boolean(), {
    default: false,
    because: "a resumed run always takes up its whole state",
  }),
  save_safetensors: refused(z.boolean(), {
    default: true,
    why: "weights are written as safetensors only; leave it out",
  }),
  push_to_hub: refused(z.boolean(), {
    default: false,
    why: `${NOTHING_PUSHED}; upload output_dir with the hub's own tools`,
  }),
  hub_token: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED, secret: true }),
  hub_model_id: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED }),
  hub_strategy: accepted(z.string(), { default: "every_save", because: NOTHING_PUSHED }),
  hub_private_repo: accepted(z.boolean().nullable(), { default: null, because: NOTHING_PUSHED }),
  hub_always_push: accepted(z.boolean(), { default: false, because: NOTHING_PUSHED }),
  hub_revision: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED }),
});

const processFlags = topic("Processes and devices", {
  backend: flag(z.enum(["auto", "native", "js"]), {
    default: "auto",
    help: "Compute with the native kernels, in JavaScript, or with the fastest that is there (auto).",
  }),
  threads: flag(z.int().min(1).max(1024).nullable(), {
    default: null,
    help: "Threads to compute with; by default one a core.",
  }),
  nproc_per_node: refused(z.int(), { default: 1, why: `${ONE_PROCESS} and uses every core; leave it out` }),
  nnodes: refused(z.int(), { default: 1, why: `${ONE_PROCESS} on one machine; leave it out` }),
  deepspeed: refused(z.string().nullable(), { default: null, why: `${ONE_PROCESS}, which nothing is sharded over` }),
  fsdp: refused(z.string().nullable(), { default: null, why: `${ONE_PROCESS}, which nothing is sharded over` }),
  fsdp_config: refused(z.string().nullable(), { default: null, why: `${ONE_PROCESS}, which nothing is sharded over` }),
  use_cpu: accepted(z.boolean(), { default: false, alias: ["no_cuda"], because: ON_CPU }),
  local_rank: refused(z.int(), { default: -1, asks: (rank) => rank > 0, why: ONE_PROCESS }),
  ddp_timeout: accepted(z.int(), { default: 1800, because: ONE_PROCESS }),
  ddp_backend: accepted(z.string().nullable(), { default: null, because: ONE_PROCESS }),
  ddp_find_unused_parameters: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
  ddp_bucket_cap_mb: accepted(z.int().nullable(), { default: null, because: ONE_PROCESS }),
  ddp_broadcast_buffers: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
  ddp_static_graph: accepted(z.boolean().nullable(), { default: null, because: ONE_PROCESS }),
  average_tokens_across_devices: accepted(z.boolean(), { default: true, because: ONE_PROCESS }),
  accelerator_config: accepted(z.string().nullable(), { default: null, because: ONE_PROCESS }),
  dataloader_num_workers: accepted(z.int().min(0), { default: 0, because: NO_LOADER }),
  dataloader_pin_memory: accepted(z.boolean(), { default: true, because: NO_LOADER }),
  dataloader_persistent_workers: accepted(z.boolean(), { default: false, because: NO_LOADER }),
  dataloader_prefetch_factor: accepted(z.int().nullable(), { default: null, because: NO_LOADER }),
  dataloader_multiprocessing_context: accepted(z.string().nullable(), { default: null, because: NO_LOADER }),
  dataloader_in_order: accepted(z.boolean(), { default: true, because: NO_LOADER }),
  remove_unused_columns: accepted(z.boolean(), { default: true, because: "only the columns of the stage are read" }),
  label_names: accepted(z.array(z.string()).nullable(), { default: null, because: "the labels are the tokens" }),
  length_column_name: accepted(z.string(), { default: "length", because: "rows are not sorted by length" }),
});

/** All of them, in the order of --help. A stage that spreads its own after them replaces those of the same name. */
export const stageFlags = {
  ...modelFlags,
  ...dataFlags,
  ...loraFlags,
  ...trainingFlags,
  ...optimizerFlags,
  ...precisionFlags,
  ...loggingFlags,
  ...evaluationFlags,
  ...savingFlags,
  ...processFlags,
};

/** Those that most runs need, for a plain --help. */
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

function isIntegerOrFraction(value: number): boolean {
  return value < 1 || Number.isInteger(value);
}
