/** What a stage is given beside its inputs: where to report to, how it is asked to stop, and whom it shares the work with. */
import type { Communicator } from "./communicator.js";

export type RunEvent =
  | { readonly type: "message"; readonly level: "info" | "warn"; readonly text: string }
  /** A long task outside training (hashing, tokenising, evaluating). */
  | {
      readonly type: "progress";
      readonly task: string;
      readonly done: number;
      readonly total: number;
      readonly unit: string;
    }
  /** Every optimizer step. `logged` marks those that --logging_steps asks for. */
  | {
      readonly type: "step";
      readonly step: number;
      readonly totalSteps: number;
      readonly epoch: number;
      readonly loss: number;
      readonly gradNorm: number;
      readonly learningRate: number;
      readonly tokensPerSecond: number;
      /** That the step took. */
      readonly seconds: number;
      /** Resident memory of the process in bytes. */
      readonly memoryBytes: number;
      readonly secondsLeft: number;
      readonly logged: boolean;
    }
  | { readonly type: "eval"; readonly step: number; readonly metrics: Readonly<Record<string, number>> }
  | { readonly type: "saved"; readonly path: string; readonly what: string }
  /** What came of a training run, at its end. */
  | {
      readonly type: "summary";
      /** Of this process. */
      readonly steps: number;
      readonly seconds: number;
      /** The loss of the first step, and of the last one as its event has it. */
      readonly firstLoss: number;
      readonly lastLoss: number;
      /** While stepping, without evaluations and checkpoints. */
      readonly tokensPerSecond: number;
      readonly peakMemoryBytes: number;
      readonly what: "adapter" | "model";
      readonly path: string;
      /** A command line to try. */
      readonly next: string;
    }
  /** The answer of a command that answers and makes nothing: `lines` for people, `value` for programs. */
  | { readonly type: "answer"; readonly lines: readonly string[]; readonly value: object };

export interface RunContext {
  /** Takes every event: `createReporter().report` prints what the command line prints, `() => {}` says nothing. */
  readonly log: (event: RunEvent) => void;
  /** Aborting ends a run as Ctrl-C does: the last whole step is saved and the run rejects with AbortError. */
  readonly signal?: AbortSignal;
  /** The processes that train together, each on its share of the rows; by default this one alone. */
  readonly communicator?: Communicator;
}
