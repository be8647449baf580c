/**
 * The training loop of the stages that learn from rows, with the semantics of the Hugging Face Trainer. What is trained, on
 * which rows and with which loss comes from the stage. A stage with another loop writes it from the same pieces.
 */
import type { ParameterArena } from "../nn/parameters.js";
import { createAdamW, type AdamW } from "../optim/adamw.js";
import { createSchedule, warmupSteps } from "../optim/schedule.js";
import { oneProcess, sumOver } from "../run/communicator.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { loadBestModelAtEnd, noteEvaluation } from "./best-checkpoint.js";
import { createCadence } from "./cadence.js";
import { Checkpointer } from "./checkpointer.js";
import type { Trained } from "./checkpoints.js";
import { Journal } from "./journal.js";
import { createOptimizerStep, type Objective } from "./optimizer-step.js";
import { batchesOfRows, batchesOfStream, type BatchStream, type Rows } from "./step-batches.js";
import { newTrainerState, type LogRow, type TrainerState } from "./trainer-state.js";
import type { TrainingArguments } from "./training-arguments.js";

/** A micro-batch whose tokens can be counted. */
export interface Tokens {
  readonly ids: { readonly length: number };
}

export interface TrainingTask<B> extends Trained, Rows<B>, Objective<B> {
  /** The batches, in place of those of `rows`, where their number is not known beforehand. */
  readonly stream?: BatchStream<B> | undefined;
  /** Metrics with the prefix eval_; undefined where there is nothing to evaluate on. */
  readonly evaluate?: (() => Promise<Record<string, number>>) | undefined;
  /** Whether nobody asked for args.logging_steps, so that a shorter run may log more often. */
  readonly isLoggingDefault?: boolean;
  /** Number of weights outside of embeddings, for total_flos. */
  readonly computeParameters: number;
  /** Makes the output folder ready; called when the run can start, with what it resumes from read, and nothing written yet. */
  readonly begin?: () => Promise<void>;
  /** Called with every row that the log gets. */
  readonly onLog?: (row: LogRow) => void;
}

export interface TrainingResult extends Pick<Checkpointer, "ownUpTo" | "differences">, Pick<Journal, "evaluations"> {
  readonly state: TrainerState;
  /** train_loss, train_runtime, …, epoch, total_flos. */
  readonly metrics: Record<string, number>;
  /** Steps of this process. */
  readonly steps: number;
  /** The step whose weights `task.arena` has at the end: the last one, or the best. */
  readonly weightsOf: number;
}

/**
 * Trains `task.arena`.
 * @throws AbortError after saving a checkpoint when the context's signal aborts; InputError when the loss is not finite
 * or the checkpoint to resume from cannot be read
 */
export async function trainRows<B extends Tokens>(
  task: TrainingTask<B>,
  args: TrainingArguments,
  context: RunContext,
): Promise<TrainingResult> {
  const { communicator = oneProcess, signal } = context;
  const batches =
    task.stream === undefined
      ? batchesOfRows(task, args, communicator)
      : batchesOfStream(task.stream, args, communicator);
  const { maxSteps } = batches;
  const cadence = createCadence(args, maxSteps, task.isLoggingDefault === true);
  const schedule = scheduleOf(args, maxSteps);
  const { arena, evaluate } = task;
  const { max_grad_norm: maxGradNorm, seed } = args;
  const optimizer = optimizerOf(args, arena);
  using optimization = createOptimizerStep({ arena, optimizer, maxGradNorm, seed, communicator, signal });
  const checkpoints = new Checkpointer(task, optimizer, batches, args, context);
  const resumed = await checkpoints.resume();
  const state: TrainerState = {
    ...newTrainerState(),
    ...resumed?.state,
    ...{ max_steps: maxSteps, num_train_epochs: batches.epochs, train_batch_size: args.per_device_train_batch_size },
    ...cadence.intervals,
  };
  await arena.values.backend.sync(); // a file that cannot be read after all shows now
  await communicator.barrier();
  await task.begin?.();
  sayStart(task, args, state, context);
  const journal = new Journal(state, context, task.onLog, resumed?.unlogged);
  const evaluateNow = async (): Promise<void> => {
    if (evaluate === undefined) return;
    const metrics = await evaluate();
    journal.evaluation(metrics);
    noteEvaluation(state, metrics, args);
  };

  try {
    if (args.eval_on_start && state.global_step === 0) await evaluateNow();
    while (state.global_step < maxSteps) {
      const begin = performance.now();
      const { micro, epoch, endsEpoch } = await batches.next(state.global_step);
      const learningRate = schedule(state.global_step);
      const { loss, gradNorm } = await optimization.step(micro, task, learningRate);
      const [tokens = 0] = await sumOver(communicator, [micro.reduce((count, { ids }) => count + ids.length, 0)]);
      const seconds = (performance.now() - begin) / 1000;
      const due = cadence.due(state.global_step + 1, endsEpoch);
      const flopsPerToken = 6 * task.computeParameters;
      journal.step({ loss, gradNorm, learningRate, epoch, tokens, flopsPerToken, seconds }, due.log);
      checkpoints.stepped();
      if (due.evaluate) await evaluateNow();
      if (due.save) await checkpoints.save(journal);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
    throw await stop(journal, checkpoints, context);
  }

  const { max_steps, gradient_accumulation_steps, per_device_train_batch_size, num_train_epochs } = args;
  const perStep = gradient_accumulation_steps * per_device_train_batch_size * communicator.size;
  const metrics = journal.end(max_steps > 0 ? maxSteps * perStep : Math.round(task.rows * num_train_epochs));
  const weightsOf = await loadBestModelAtEnd(state, args, task.loadModel, context);
  await checkpoints.end(state);
  const { ownUpTo, differences } = checkpoints;
  return { state, metrics, steps: journal.steps, weightsOf, ownUpTo, differences, evaluations: journal.evaluations };
}

function scheduleOf(args: TrainingArguments, totalSteps: number): (step: number) => number {
  return createSchedule({
    type: args.lr_scheduler_type,
    learningRate: args.learning_rate,
    warmupSteps: warmupSteps(args.warmup_steps, args.warmup_ratio, totalSteps),
    totalSteps,
    kwargs: args.lr_scheduler_kwargs ?? {},
  });
}

function optimizerOf(args: TrainingArguments, arena: ParameterArena): AdamW {
  const { adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: eps, weight_decay: weightDecay } = args;
  return createAdamW(arena, { beta1, beta2, eps, weightDecay });
}

/** Says what is trained on and how often it is logged. The bar shows before the first step, which may take long. */
function sayStart(
  { rows, stream }: Pick<TrainingTask<unknown>, "rows" | "stream">,
  args: TrainingArguments,
  { global_step: done, max_steps: total, logging_steps: logged }: TrainerState,
  context: RunContext,
): void {
  const count = stream === undefined ? `${rows.toLocaleString("en")} rows` : "streamed rows";
  const perStep = `${args.per_device_train_batch_size} x ${args.gradient_accumulation_steps} a step`;
  const { size } = context.communicator ?? oneProcess;
  const where = size === 1 ? "" : ` in each of ${size} processes`;
  if (done < total) say(context, `training: ${count}, ${perStep}${where}, steps ${done + 1} to ${total}`);
  const often = logged === 1 ? "every step" : `every ${logged} steps`;
  if (args.logging_strategy === "steps" && logged < args.logging_steps && args.logging_steps >= 1)
    say(
      context,
      `the loss is logged ${often}, as the run is shorter than the ${args.logging_steps} steps that --logging_steps has by default`,
    );
  if (done < total) context.log({ type: "progress", task: "training", done, total, unit: "steps" });
}

/** Saves the last whole step of a run that is stopped; returns the error to end with. */
async function stop(journal: Journal, checkpoints: Checkpointer, context: RunContext): Promise<DOMException> {
  await checkpoints.saveLast(journal);
  const { global_step: done, max_steps: total } = journal.state;
  const text =
    done === 0
      ? "stopped before the first step was completed; nothing is saved"
      : `stopped after step ${done} of ${total}; continue with the same command and --resume_from_checkpoint True`;
  say(context, text, "warn");
  return new DOMException(text, "AbortError");
}
