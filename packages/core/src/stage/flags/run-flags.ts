/** What a run does, for how long, and where it writes. */
import { z } from "zod";
import { flag, topic } from "../../config/schema.js";
import { path, seed } from "./values.js";

export const runFlags = topic("Training", {
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
});
