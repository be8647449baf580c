/** What a run has done so far: the state that its checkpoints hold, and what it reports. */
import type { RunContext } from "../run/run-context.js";
import type { UnloggedLoss } from "./checkpoints.js";
import { speedMetrics } from "./evaluate.js";
import type { LogRow, TrainerState } from "./trainer-state.js";

/** What a step gave. */
export interface StepReport {
  readonly loss: number;
  readonly gradNorm: number;
  readonly learningRate: number;
  /** Epochs done after it. */
  readonly epoch: number;
  /** In its micro-batches, in all processes. */
  readonly tokens: number;
  /** Floating-point operations of a token, for total_flos. */
  readonly flopsPerToken: number;
  readonly seconds: number;
}

export class Journal {
  /** Metrics of the evaluations of this process, by the step. */
  readonly evaluations = new Map<number, Record<string, number>>();
  readonly #firstStep: number;
  readonly #started = performance.now();
  readonly #unlogged: { loss: number; steps: number };
  #totalLoss = 0;
  #secondsPerStep = 0;

  /**
   * @param onRow called with every row that the log gets
   * @param unlogged the loss since the last row, of a run that goes on
   */
  constructor(
    readonly state: TrainerState,
    private readonly context: RunContext,
    private readonly onRow: (row: LogRow) => void = () => {},
    unlogged?: UnloggedLoss,
  ) {
    this.#firstStep = state.global_step;
    this.#unlogged = { loss: 0, steps: 0, ...unlogged };
  }

  /** What the next row is the mean of, so far. */
  get unlogged(): UnloggedLoss {
    return { ...this.#unlogged };
  }

  /** Steps of this process. */
  get steps(): number {
    return this.state.global_step - this.#firstStep;
  }

  /** @param logged whether the log gets a row, of the mean loss since the row before */
  step(report: StepReport, logged: boolean): void {
    const { state } = this;
    const { loss, gradNorm, learningRate, epoch, tokens, flopsPerToken, seconds } = report;
    state.global_step++;
    state.epoch = epoch;
    state.num_input_tokens_seen += tokens;
    state.total_flos += flopsPerToken * tokens;
    this.#unlogged.loss += loss;
    this.#unlogged.steps++;
    this.#totalLoss += loss;
    this.#secondsPerStep = this.#secondsPerStep === 0 ? seconds : 0.8 * this.#secondsPerStep + 0.2 * seconds;
    const mean = this.#unlogged.loss / this.#unlogged.steps;
    this.context.log({
      type: "step",
      step: state.global_step,
      totalSteps: state.max_steps,
      epoch,
      loss: logged ? mean : loss,
      gradNorm,
      learningRate,
      tokensPerSecond: tokens / seconds,
      seconds,
      memoryBytes: process.memoryUsage.rss(),
      secondsLeft: (state.max_steps - state.global_step) * this.#secondsPerStep,
      logged,
    });
    if (!logged) return;
    this.#row({ grad_norm: gradNorm, learning_rate: learningRate, loss: mean });
    Object.assign(this.#unlogged, { loss: 0, steps: 0 });
  }

  evaluation(metrics: Record<string, number>): void {
    this.#row(metrics);
    this.evaluations.set(this.state.global_step, metrics);
    this.context.log({ type: "eval", step: this.state.global_step, metrics });
  }

  /**
   * Ends the log with the metrics of the training, which are those of this process alone where the run was resumed.
   * @param samples rows of the whole run
   */
  end(samples: number): Record<string, number> {
    const { state, steps } = this;
    const seconds = (performance.now() - this.#started) / 1000;
    const metrics = {
      ...speedMetrics("train", seconds, (samples * steps) / state.max_steps, steps),
      total_flos: state.total_flos,
      train_loss: steps === 0 ? 0 : this.#totalLoss / steps,
    };
    this.#row(metrics);
    return { ...metrics, epoch: state.epoch };
  }

  #row(values: LogRow): void {
    const row = { ...values, epoch: this.state.epoch, step: this.state.global_step };
    this.state.log_history.push(row);
    this.onRow(row);
  }
}
