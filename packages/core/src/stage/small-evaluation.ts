import { counted } from "../run/counted.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { limits } from "./check-flags.js";
import type { StageFlags } from "./flags.js";

/** With fewer rows the loss of an evaluation is that of the rows that happened to be chosen. */
const ENOUGH_ROWS = 10;

/** Warns where there is little to evaluate on, unless the user has asked for so little. */
export function warnOfSmallEvaluation(
  rows: number,
  config: Pick<StageFlags, "validation_split_percentage" | "max_eval_samples">,
  context: Pick<RunContext, "log"> & {
    readonly setAside: boolean;
    /** What the stage's evaluation gives: "loss and perplexity". */
    readonly metrics: string;
  },
): void {
  const asked = limits(config.max_eval_samples) && config.max_eval_samples <= rows;
  const { setAside, metrics } = context;
  if (rows === 0 || rows >= ENOUGH_ROWS || asked) return;
  const why = setAside ? ` (${config.validation_split_percentage} % of the data)` : "";
  const advice = setAside
    ? "raise --validation_split_percentage or give --validation_file_dir"
    : "give more of it to --validation_file_dir";
  const text = `${counted(rows, "row")}${why} to evaluate on: the ${metrics} of so few say little; ${advice}`;
  say(context, text, "warn");
}
