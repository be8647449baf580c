/** The optimizer and the course of its learning rate. */
import { z } from "zod";
import { flag, topic } from "../../config/schema.js";
import { SCHEDULES } from "../../optim/schedule.js";
import { dropout, fraction, stepsOrNone } from "./values.js";

export const optimizerFlags = topic("Optimizer", {
  learning_rate: flag(z.number().min(0), { default: 5e-5, help: "The highest learning rate." }),
  lr_scheduler_type: flag(z.enum(SCHEDULES), {
    default: "linear",
    help: "The course of the learning rate after warm-up.",
  }),
  lr_scheduler_kwargs: flag(z.record(z.string(), z.number()).nullable(), {
    default: null,
    help: "Arguments of the schedule as JSON, such as '{\"num_cycles\": 2}'.",
  }),
  warmup_steps: flag(stepsOrNone, {
    default: 0,
    help: "Steps over which the learning rate rises from 0; below 1, a fraction of the run.",
  }),
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
});
