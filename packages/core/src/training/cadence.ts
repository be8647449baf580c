import type { TrainerState } from "./trainer-state.js";
import type { Strategy, TrainingArguments } from "./training-arguments.js";

type CadenceArguments = Pick<
  TrainingArguments,
  | ("logging_strategy" | "logging_steps" | "logging_first_step" | "eval_strategy" | "eval_steps")
  | ("save_strategy" | "save_steps")
>;

/** Rows of the log that a run gets where the user left it to us. */
const ROWS = 10;

/** What is to be done after a step. */
export interface Due {
  readonly log: boolean;
  readonly evaluate: boolean;
  readonly save: boolean;
}

export interface Cadence {
  /** Steps between two of a kind, where the strategy is "steps". */
  readonly intervals: Pick<TrainerState, "logging_steps" | "eval_steps" | "save_steps">;
  /** @param step how many are done, from 1 */
  due(step: number, endsEpoch: boolean): Due;
}

/**
 * When a run logs, evaluates and saves. A number of steps below 1 is a fraction of the run, as in transformers; the last
 * step is always evaluated and saved, unless the strategy is "no".
 * @param isLoggingDefault whether nobody asked for args.logging_steps
 */
export function createCadence(args: CadenceArguments, maxSteps: number, isLoggingDefault: boolean): Cadence {
  const every = (steps: number): number => (steps < 1 ? Math.ceil(steps * maxSteps) : steps);
  const logging_steps = loggingInterval(every(args.logging_steps), maxSteps, isLoggingDefault);
  const eval_steps = every(args.eval_steps ?? args.logging_steps);
  const save_steps = every(args.save_steps);
  return {
    intervals: { logging_steps, eval_steps, save_steps },
    due(step, endsEpoch) {
      const ends = step >= maxSteps;
      const isDue = (strategy: Strategy, steps: number): boolean =>
        strategy === "steps" ? step % steps === 0 : strategy === "epoch" && (endsEpoch || ends);
      return {
        log: isDue(args.logging_strategy, logging_steps) || (args.logging_first_step && step === 1),
        evaluate: isDue(args.eval_strategy, eval_steps) || (ends && args.eval_strategy === "steps"),
        save: isDue(args.save_strategy, save_steps) || (ends && args.save_strategy === "steps"),
      };
    },
  };
}

/**
 * Steps between two logged rows: those asked for, but about ten rows for a run that is shorter, where nobody asked.
 * @param asked by the user or, with `isDefault`, by nobody
 */
export function loggingInterval(asked: number, maxSteps: number, isDefault: boolean): number {
  return isDefault && maxSteps < asked ? Math.max(1, Math.round(maxSteps / ROWS)) : asked;
}
