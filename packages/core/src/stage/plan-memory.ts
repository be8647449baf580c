import { planTraining } from "../training/memory-plan.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { evaluates } from "./check-flags.js";
import type { StageFlags } from "./flags.js";
import type { OpenedModel, OpenModelOptions } from "./open-model.js";
import type { StageData } from "./train-and-evaluate.js";

/**
 * Says what the run needs of memory, by the longest rows that it has.
 * @returns how many layers are recomputed in the backward pass; 0 where nothing is trained
 * @throws InputError where it clearly does not fit
 */
export function planStageMemory(
  { model, arena }: Pick<OpenedModel, "model" | "arena">,
  config: StageFlags,
  { train, stream, validation }: Omit<StageData<unknown>, "traits">,
  longest: OpenModelOptions["longest"],
  context: RunContext,
): number {
  if (!config.do_train) return 0;
  const { gradient_checkpointing, max_memory, per_device_train_batch_size: size } = config;
  const largest = (batches: StageData<unknown>["train"], batchSize: number) => {
    const rows = Math.min(batchSize, batches.rows);
    return { rows, tokens: batches.longest(rows) };
  };
  const task = {
    gradient_checkpointing,
    max_memory,
    trained: arena?.values.size ?? 0,
    // What is streamed is not known beforehand.
    train: stream === undefined ? largest(train, size) : { rows: size, tokens: size * longest.tokens },
    evaluation: evaluates(config) ? largest(validation, config.per_device_eval_batch_size) : { rows: 0, tokens: 0 },
    lengthFlag: longest.flag,
  };
  return planTraining(model, task, (text, level) => say(context, text, level));
}
