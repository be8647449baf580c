import type { z } from "zod";
import type { StageFlags } from "./flags.js";

type Fields = Pick<
  StageFlags,
  | "do_train"
  | "do_eval"
  | "eval_strategy"
  | "eval_steps"
  | "logging_steps"
  | "save_strategy"
  | "save_steps"
  | "load_best_model_at_end"
  | "fp16"
  | "bf16"
  | "validation_file_dir"
  | "train_file_dir"
  | "dataset_name"
  | "dataset_config_name"
>;

/**
 * Checks flags together: there has to be something to do and data for it, and some flags exclude or need others.
 * @param what the data of the stage, as in "a folder of text"
 */
export function checkFlags(config: Fields, context: z.core.$RefinementCtx, what: string): void {
  const fail = (name: keyof Fields, message: string): void => {
    context.addIssue({ code: "custom", path: [name], message });
  };
  if (!config.do_train && !evaluates(config)) fail("do_train", "nothing to do: give --do_train, --do_eval or both");
  const { train_file_dir, dataset_name } = config;
  if (train_file_dir !== null && dataset_name !== null)
    fail("dataset_name", "expected one of --train_file_dir and --dataset_name, got both");
  if (config.dataset_config_name !== null && dataset_name === null)
    fail("dataset_config_name", "expected a data set in --dataset_name too");
  const hasData = train_file_dir !== null || dataset_name !== null;
  if (config.do_train && !hasData) fail("train_file_dir", `--do_train needs ${what}, or --dataset_name`);
  if (evaluates(config) && !hasData && config.validation_file_dir === null)
    fail("validation_file_dir", `--do_eval needs ${what} here or in --train_file_dir`);
  if (config.fp16 && config.bf16) fail("fp16", "expected at most one of --fp16 and --bf16");
  if (config.load_best_model_at_end) {
    const { eval_strategy, save_strategy, eval_steps, logging_steps, save_steps } = config;
    const every = eval_steps ?? logging_steps;
    if (eval_strategy === "no" || eval_strategy !== save_strategy) {
      const got = `got ${save_strategy} and ${eval_strategy}`;
      fail("load_best_model_at_end", `expected --save_strategy and --eval_strategy alike, steps or epoch; ${got}`);
    } else if (eval_strategy === "steps" && !isMultiple(save_steps, every)) {
      const got = `got ${save_steps} and ${every}`;
      fail("load_best_model_at_end", `expected --save_steps to be a multiple of --eval_steps, ${got}`);
    }
  }
}

/** Whether the run evaluates: --do_eval, or an --eval_strategy, which implies it. */
export function evaluates(config: Pick<StageFlags, "do_eval" | "eval_strategy">): boolean {
  return config.do_eval || config.eval_strategy !== "no";
}

/** Whether max_train_samples or max_eval_samples asks for less than all. */
export function limits(samples: number | null): samples is number {
  return samples !== null && samples > 0;
}

/** Fractions of a run are compared in millionths, since 0.6 % 0.2 is not 0 in binary. */
function isMultiple(value: number, of: number): boolean {
  return value < 1 === of < 1 && Math.round(value * 1e6) % Math.round(of * 1e6) === 0;
}
