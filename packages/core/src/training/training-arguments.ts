import type { ScheduleName } from "../optim/schedule.js";

export type Strategy = "no" | "steps" | "epoch";

/** The TrainingArguments that shape the loop, under their names there. */
export interface TrainingArguments {
  readonly output_dir: string;
  readonly resume_from_checkpoint: string | boolean | null;
  readonly num_train_epochs: number;
  readonly max_steps: number;
  readonly per_device_train_batch_size: number;
  readonly gradient_accumulation_steps: number;
  readonly seed: number;
  readonly data_seed: number | null;
  readonly train_sampling_strategy: "random" | "sequential";
  readonly learning_rate: number;
  readonly lr_scheduler_type: ScheduleName;
  readonly lr_scheduler_kwargs: Readonly<Record<string, number>> | null;
  readonly warmup_steps: number;
  readonly warmup_ratio: number;
  readonly weight_decay: number;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly max_grad_norm: number;
  readonly logging_strategy: Strategy;
  readonly logging_steps: number;
  readonly logging_first_step: boolean;
  readonly eval_strategy: Strategy;
  readonly eval_steps: number | null;
  readonly eval_on_start: boolean;
  readonly save_strategy: Strategy;
  readonly save_steps: number;
  readonly save_total_limit: number | null;
  readonly save_only_model: boolean;
  readonly load_best_model_at_end: boolean;
  readonly metric_for_best_model: string | null;
  readonly greater_is_better: boolean | null;
}
