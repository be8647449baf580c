/** Which evaluation of a run is the best, and its checkpoint, as transformers' metric_for_best_model and the like say. */
import { existsSync } from "node:fs";
import { InputError } from "@medgpt/artifacts";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { checkpointDir } from "./checkpoint-folders.js";
import type { TrainerState } from "./trainer-state.js";
import type { TrainingArguments } from "./training-arguments.js";

export type BestArguments = Pick<
  TrainingArguments,
  "output_dir" | "save_strategy" | "load_best_model_at_end" | "metric_for_best_model" | "greater_is_better"
>;

/** Remembers in `state` an evaluation that is better than those before it. */
export function noteEvaluation(state: TrainerState, metrics: Record<string, number>, args: BestArguments): void {
  if (state.global_step === 0) return; // untrained weights are no candidate, and have no checkpoint
  const named = args.metric_for_best_model ?? (args.load_best_model_at_end ? "loss" : undefined);
  if (named === undefined) return;
  const name = named.startsWith("eval_") ? named : `eval_${named}`;
  const metric = metrics[name];
  if (metric === undefined)
    throw new InputError(`--metric_for_best_model ${named}: the evaluation gives ${Object.keys(metrics).join(", ")}`);
  const greater = args.greater_is_better ?? !name.endsWith("loss");
  const best = state.best_metric ?? (greater ? -Infinity : Infinity);
  if (!(greater ? metric > best : metric < best)) return;
  state.best_metric = metric;
  if (args.save_strategy !== "no") state.best_global_step = state.global_step;
}

/** Finds the checkpoint of the best step, before one of the current step is written. */
export function noteCheckpoint(state: TrainerState, { output_dir, save_strategy }: BestArguments): void {
  const best = save_strategy === "no" ? null : state.best_global_step;
  if (best === null) return;
  // Evaluations may be more frequent than checkpoints: the best step need not have one.
  const dir = checkpointDir(output_dir, best);
  if (best === state.global_step || existsSync(dir)) state.best_model_checkpoint = dir;
}

/**
 * Loads the best checkpoint at the end of a run, where the flags ask for it.
 * @returns the step whose weights the model has
 */
export async function loadBestModelAtEnd(
  { global_step, best_global_step, best_model_checkpoint: best }: TrainerState,
  args: BestArguments,
  loadModel: (dir: string) => Promise<void>,
  context: RunContext,
): Promise<number> {
  if (!args.load_best_model_at_end || best === null) return global_step;
  if (!existsSync(best)) {
    say(context, `the best checkpoint, ${best}, is gone: the last step stays`, "warn");
    return global_step;
  }
  await loadModel(best);
  say(context, `loaded the best checkpoint, ${best}`);
  return best_global_step ?? global_step;
}
