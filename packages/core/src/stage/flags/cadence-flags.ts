/** When a run logs, evaluates and saves, and where to. */
import { z } from "zod";
import { flag, topic } from "../../config/schema.js";
import { path, steps, strategy } from "./values.js";

export const loggingFlags = topic("Logging", {
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
  profile: flag(path.nullable(), {
    default: null,
    help: "Write every kernel's time, operations and share of the peak to this file, as a Chrome trace, and print a summary.",
  }),
});

export const evaluationFlags = topic("Evaluation", {
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
});

export const savingFlags = topic("Saving", {
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
});
