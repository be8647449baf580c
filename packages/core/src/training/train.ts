/**
 * The training loop that the stages share: epochs, accumulation, clipping, the optimizer, logs, evaluations, checkpoints
 * and resuming, each with the semantics of the Hugging Face Trainer. What is trained, on which rows and with which loss
 * comes from the stage.
 */
import { existsSync } from "node:fs";
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { labelCount } from "../data/packing/collate.js";
import type { Batch } from "../data/packing/batch.js";
import type { ParameterArena } from "../nn/parameters.js";
import type { DropoutDraw } from "../ops/index.js";
import { sum } from "../ops/index.js";
import { createAdamW } from "../optim/adamw.js";
import { createSchedule, warmupSteps, type ScheduleName } from "../optim/schedule.js";
import { backward } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { singleProcess } from "./all-reduce.js";
import { checkpointDir, listCheckpoints, removeCheckpoint } from "./checkpoint-folders.js";
import { findCheckpoint, resumeFrom, rotateCheckpoints, saveCheckpoint } from "./checkpoints.js";
import { speedMetrics } from "./evaluate.js";
import { loggingInterval } from "./logging-interval.js";
import { stepHere } from "./output-dir.js";
import type { RunContext } from "../run/run-context.js";
import type { LogRow, TrainerState } from "./trainer-state.js";
import { windowsOfRows, windowsOfStream, type BatchStream } from "./windows.js";

type Strategy = "no" | "steps" | "epoch";

/** The TrainingArguments that shape the loop, under their names there. */
export interface TrainingArguments {
  readonly output_dir: string;
  readonly resume_from_checkpoint: string | boolean | null;
  readonly num_train_epochs: number;
  readonly max_steps: number;
  readonly per_device_train_batch_size: number;
  readonly gradient_accumulation_steps: number;
  readonly seed: number;
  readonly data_seed: number | null;
  readonly train_sampling_strategy: "random" | "sequential";
  readonly learning_rate: number;
  readonly lr_scheduler_type: ScheduleName;
  readonly lr_scheduler_kwargs: Readonly<Record<string, number>> | null;
  readonly warmup_steps: number;
  readonly warmup_ratio: number;
  readonly weight_decay: number;
  readonly adam_beta1: number;
  readonly adam_beta2: number;
  readonly adam_epsilon: number;
  readonly max_grad_norm: number;
  readonly logging_strategy: Strategy;
  readonly logging_steps: number;
  readonly logging_first_step: boolean;
  readonly eval_strategy: Strategy;
  readonly eval_steps: number | null;
  readonly eval_on_start: boolean;
  readonly save_strategy: Strategy;
  readonly save_steps: number;
  readonly save_total_limit: number | null;
  readonly save_only_model: boolean;
  readonly load_best_model_at_end: boolean;
  readonly metric_for_best_model: string | null;
  readonly greater_is_better: boolean | null;
}

export interface TrainingTask {
  readonly arena: ParameterArena;
  /** Rows in an epoch and how to get a micro-batch of them. */
  readonly rows: number;
  readonly batch: (indices: readonly number[]) => Batch | Promise<Batch>;
  /** The batches, in place of those of `rows`, where their number is not known beforehand. */
  readonly stream?: BatchStream | undefined;
  /** Per-token loss (tokens) f32 of a batch, 0 where there is no label. */
  readonly loss: (batch: Batch, draw: Omit<DropoutDraw, "site" | "p">) => Tensor;
  /** Metrics with the prefix eval_; undefined where there is nothing to evaluate on. */
  readonly evaluate?: (() => Promise<Record<string, number>>) | undefined;
  /** Writes the model or adapter into a folder. */
  readonly saveModel: (dir: string) => Promise<void>;
  /** Reads back what saveModel wrote. */
  readonly loadModel: (dir: string) => Promise<void>;
  /** Whether nobody asked for args.logging_steps, so that a shorter run may log more often. */
  readonly isLoggingDefault?: boolean;
  /** Number of weights outside of embeddings, for total_flos. */
  readonly computeParameters: number;
  /** What a checkpoint keeps of the run, as JSON; by default nothing. */
  readonly record?: () => unknown;
  /**
   * What is different from the run that saved a checkpoint and makes this one another, in a few words each; throws where
   * it cannot go on.
   */
  readonly compare?: (checkpoint: string) => Promise<string[]>;
  /** Makes the output folder ready; called when the run can start, with what it resumes from read, and nothing written yet. */
  readonly begin?: () => Promise<void>;
  /** Called with every row that the log gets. */
  readonly onLog?: (row: LogRow) => void;
}

export interface TrainingResult {
  readonly state: TrainerState;
  /** train_loss, train_runtime, …, epoch, total_flos. */
  readonly metrics: Record<string, number>;
  /** Steps of this process. */
  readonly steps: number;
  /** The step whose weights `task.arena` has at the end: the last one, or the best. */
  readonly weightsOf: number;
  /** Checkpoints in the output folder after this step are another run's. */
  readonly ownUpTo: number;
  /** What `task.compare` and the checkpoint's own state said is different; empty where nothing was resumed. */
  readonly differences: readonly string[];
}

/**
 * Trains `task.arena`.
 * @throws AbortError after saving a checkpoint when the context's signal aborts; InputError when the loss is not finite
 * or the checkpoint to resume from cannot be read
 */
export async function train(task: TrainingTask, args: TrainingArguments, context: RunContext): Promise<TrainingResult> {
  const { arena } = task;
  const { backend } = arena.values;
  const { log, signal } = context;
  const accumulation = args.gradient_accumulation_steps;
  const windows =
    task.stream === undefined
      ? windowsOfRows(task, args, args.data_seed ?? args.seed)
      : windowsOfStream(task.stream, args);
  const { maxSteps, epochs } = windows;
  const every = (steps: number) => (steps < 1 ? Math.ceil(steps * maxSteps) : steps);
  const loggingSteps = loggingInterval(every(args.logging_steps), maxSteps, task.isLoggingDefault === true);
  const saveSteps = every(args.save_steps);
  const evalSteps = every(args.eval_steps ?? args.logging_steps);
  const schedule = createSchedule({
    type: args.lr_scheduler_type,
    learningRate: args.learning_rate,
    warmupSteps: warmupSteps(args.warmup_steps, args.warmup_ratio, maxSteps),
    totalSteps: maxSteps,
    kwargs: args.lr_scheduler_kwargs ?? {},
  });
  const { adam_beta1: beta1, adam_beta2: beta2, adam_epsilon: eps, weight_decay: weightDecay } = args;
  const optimizer = createAdamW(arena, { beta1, beta2, eps, weightDecay });
  const norms = empty(backend, [2], "f32"); // gradient norm, clipping factor
  const clip = norms.view([1], 1);
  const random = { seed: args.seed, data_seed: args.data_seed ?? args.seed, backend: arithmeticOf(backend) };

  let state: TrainerState = {
    best_global_step: null,
    best_metric: null,
    best_model_checkpoint: null,
    epoch: 0,
    eval_steps: evalSteps,
    global_step: 0,
    log_history: [],
    logging_steps: loggingSteps,
    max_steps: maxSteps,
    num_input_tokens_seen: 0,
    num_train_epochs: epochs,
    save_steps: saveSteps,
    total_flos: 0,
    train_batch_size: args.per_device_train_batch_size,
  };
  // Loss of the steps since the last logged row, and of all steps of this process.
  let [sinceLogged, loggedStep, totalLoss] = [0, 0, 0];
  let placeInData = windows.state(); // after the last completed step
  const differences: string[] = [];
  let ownUpTo = 0;
  const free = (): void => {
    clip.dispose();
    norms.dispose();
    optimizer.dispose();
  };
  try {
    const checkpoint = await findCheckpoint(args.output_dir, args.resume_from_checkpoint);
    if (checkpoint !== undefined) {
      differences.push(...((await task.compare?.(checkpoint)) ?? []));
      await task.loadModel(checkpoint);
      const resumed = await resumeFrom(checkpoint, arena, optimizer, random);
      await windows.restore(resumed.data).catch((cause: unknown) => {
        if (!(cause instanceof InputError) || cause.place !== undefined) throw cause;
        throw new InputError(cause.message, { place: checkpoint, cause });
      });
      placeInData = windows.state();
      differences.push(...resumed.notes);
      ownUpTo = stepHere(args.output_dir, checkpoint) ?? 0;
      state = {
        ...state,
        ...resumed.state,
        max_steps: maxSteps,
        num_train_epochs: epochs,
        logging_steps: loggingSteps,
        eval_steps: evalSteps,
        save_steps: saveSteps,
        train_batch_size: args.per_device_train_batch_size,
      };
      [sinceLogged, loggedStep] = [resumed.unlogged.loss, state.global_step - resumed.unlogged.steps];
      const left = maxSteps - state.global_step;
      const different = `${checkpoint}: ${differences.join("; ")}`;
      if (differences.length > 0 && left > 0)
        log({ type: "message", level: "warn", text: `${different}: the run continues, but not as it would have` });
      const text = `continuing from ${checkpoint} at step ${state.global_step} of ${maxSteps}`;
      log({ type: "message", level: "info", text });
      if (left <= 0) {
        const idle =
          differences.length === 0 ? "" : `, and what is different has no effect (${differences.join("; ")})`;
        const text = `nothing is left to train${idle}; to train longer, raise --max_steps or --num_train_epochs`;
        log({ type: "message", level: "warn", text });
      }
    }
    // An interrupted run of before may have left half of a sum in them.
    backend.kernels.fill({ out: arena.gradients, count: arena.gradients.size, value: 0 });
    await backend.sync(); // a file that cannot be read after all shows now
    await task.begin?.();
    const count = task.stream === undefined ? `${task.rows.toLocaleString("en")} rows` : "streamed rows";
    const rows = `${count}, ${args.per_device_train_batch_size} x ${accumulation} a step`;
    const text = `training: ${rows}, steps ${state.global_step + 1} to ${maxSteps}`;
    if (state.global_step < maxSteps) log({ type: "message", level: "info", text });
    if (args.logging_strategy === "steps" && loggingSteps < args.logging_steps && args.logging_steps >= 1) {
      const often = loggingSteps === 1 ? "every step" : `every ${loggingSteps} steps`;
      const text = `the loss is logged ${often}, as the run is shorter than the ${args.logging_steps} steps that --logging_steps has by default`;
      log({ type: "message", level: "info", text });
    }
  } catch (error) {
    free();
    throw error;
  }
  const firstStep = state.global_step;
  let lastSaved = firstStep === 0 ? undefined : firstStep;

  const addLog = (row: LogRow): void => {
    const full = { ...row, epoch: state.epoch, step: state.global_step };
    state.log_history.push(full);
    task.onLog?.(full);
  };
  const save = async (): Promise<void> => {
    const best = args.save_strategy === "no" ? null : state.best_global_step;
    if (best !== null) {
      // Evaluations may be more frequent than checkpoints: the best step need not have one.
      const dir = checkpointDir(args.output_dir, best);
      if (best === state.global_step || existsSync(dir)) state.best_model_checkpoint = dir;
    }
    const contents = {
      state,
      random,
      unlogged: { loss: sinceLogged, steps: state.global_step - loggedStep },
      data: placeInData,
      record: task.record?.(),
      arena,
      optimizer: args.save_only_model ? undefined : optimizer,
      saveModel: task.saveModel,
    };
    // The first one takes the place of what another run left; from then on all of the folder is this run's.
    const isFirst = lastSaved === undefined || lastSaved === firstStep;
    const dir = await saveCheckpoint(args.output_dir, contents, isFirst ? ownUpTo : undefined);
    lastSaved = ownUpTo = state.global_step;
    log({ type: "saved", path: dir, what: "checkpoint" });
    await rotateCheckpoints(args.output_dir, args.save_total_limit, [dir, state.best_model_checkpoint]);
  };
  const evaluateNow = async (): Promise<void> => {
    if (task.evaluate === undefined) return;
    const metrics = await task.evaluate();
    addLog(metrics);
    log({ type: "eval", step: state.global_step, metrics });
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
  };

  const started = performance.now();
  let secondsPerStep = 0;

  /** Forward, backward and update on one window of micro-batches. Only the waiting part can be interrupted. */
  const step = async (window: readonly Batch[], learningRate: number): Promise<{ loss: number; gradNorm: number }> => {
    const tokens = window.reduce((count, batch) => count + labelCount(batch), 0);
    const interrupt = (): void => backend.abort();
    signal?.throwIfAborted();
    signal?.addEventListener("abort", interrupt);
    const losses: Tensor[] = [];
    let updated: { loss: number; gradNorm: number };
    try {
      window.forEach((batch, microStep) => {
        const draw = { seed: args.seed, step: state.global_step, microStep };
        const loss = scope(() => sum(task.loss(batch, draw), tokens === 0 ? 0 : 1 / tokens));
        losses.push(loss);
        backward(loss);
      });
      await singleProcess(arena.gradients, tokens);
      backend.kernels.clipGradNorm({
        out: norms,
        grads: arena.gradients,
        count: arena.gradients.size,
        maxNorm: args.max_grad_norm,
      });
      const [gradNorm, ...parts] = await Promise.all([
        norms.read().then(([norm]) => norm as number),
        ...losses.map((loss) => loss.item()),
      ]);
      const loss = parts.reduce((a, b) => a + b, 0);
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm))
        throw new InputError(
          `step ${state.global_step + 1}: the loss is ${loss} and the gradient norm ${gradNorm}; lower --learning_rate or compute in float32`,
        );
      optimizer.step(learningRate, clip);
      updated = { loss, gradNorm };
    } finally {
      signal?.removeEventListener("abort", interrupt);
      for (const loss of losses) loss.dispose();
    }
    // The update is never interrupted: an abort in the next step must not find it still queued.
    await backend.sync();
    return updated;
  };

  try {
    // The bar shows before the first step, which may take long.
    if (state.global_step < maxSteps)
      log({ type: "progress", task: "training", done: state.global_step, total: maxSteps, unit: "steps" });
    if (args.eval_on_start && state.global_step === 0) await evaluateNow();
    while (state.global_step < maxSteps) {
      const begin = performance.now();
      const { micro, epoch, endsEpoch } = await windows.next(state.global_step);
      const learningRate = schedule(state.global_step);
      const { loss, gradNorm } = await step(micro, learningRate);
      state.global_step++;
      state.epoch = epoch;
      placeInData = windows.state();
      const tokens = micro.reduce((count, { ids }) => count + ids.length, 0);
      state.num_input_tokens_seen += tokens;
      state.total_flos += 6 * tokens * task.computeParameters;
      sinceLogged += loss;
      totalLoss += loss;

      const ends = state.global_step >= maxSteps;
      const due = (strategy: Strategy, steps: number): boolean =>
        strategy === "steps" ? state.global_step % steps === 0 : strategy === "epoch" && (endsEpoch || ends);
      const logged = due(args.logging_strategy, loggingSteps) || (args.logging_first_step && state.global_step === 1);
      const seconds = (performance.now() - begin) / 1000;
      secondsPerStep = secondsPerStep === 0 ? seconds : 0.8 * secondsPerStep + 0.2 * seconds;
      log({
        type: "step",
        step: state.global_step,
        totalSteps: maxSteps,
        epoch: state.epoch,
        loss: logged ? sinceLogged / (state.global_step - loggedStep) : loss,
        gradNorm,
        learningRate,
        tokensPerSecond: tokens / seconds,
        seconds,
        memoryBytes: process.memoryUsage.rss(),
        secondsLeft: (maxSteps - state.global_step) * secondsPerStep,
        logged,
      });
      if (logged) {
        addLog({
          grad_norm: gradNorm,
          learning_rate: learningRate,
          loss: sinceLogged / (state.global_step - loggedStep),
        });
        [sinceLogged, loggedStep] = [0, state.global_step];
      }
      if (due(args.eval_strategy, evalSteps) || (ends && args.eval_strategy === "steps")) await evaluateNow();
      if (due(args.save_strategy, saveSteps) || (ends && args.save_strategy === "steps")) await save();
    }
  } catch (error) {
    if (signal?.aborted) {
      if (state.global_step > 0 && lastSaved !== state.global_step) await save();
      const text =
        state.global_step === 0
          ? "stopped before the first step was completed; nothing is saved"
          : `stopped after step ${state.global_step} of ${maxSteps}; continue with the same command and --resume_from_checkpoint True`;
      log({ type: "message", level: "warn", text });
      throw new DOMException(text, "AbortError");
    }
    throw error;
  } finally {
    free();
  }

  // A run that was killed between its last checkpoint and the removal of an older one goes on here.
  if (ownUpTo > 0) {
    const kept = [checkpointDir(args.output_dir, ownUpTo), state.best_model_checkpoint];
    await rotateCheckpoints(args.output_dir, args.save_total_limit, kept);
  }

  const seconds = (performance.now() - started) / 1000;
  const steps = state.global_step - firstStep;
  const samples =
    args.max_steps > 0
      ? maxSteps * accumulation * args.per_device_train_batch_size
      : Math.round(task.rows * args.num_train_epochs);
  const metrics = {
    // Those of this process alone, where the run was resumed.
    ...speedMetrics("train", seconds, (samples * steps) / maxSteps, steps),
    total_flos: state.total_flos,
    train_loss: steps === 0 ? 0 : totalLoss / steps,
  };
  addLog(metrics);
  const best = state.best_model_checkpoint;
  let weightsOf = state.global_step;
  if (args.load_best_model_at_end && best !== null) {
    const there = existsSync(best);
    if (there) await task.loadModel(best);
    if (there) weightsOf = state.best_global_step ?? weightsOf;
    const text = there
      ? `loaded the best checkpoint, ${best}`
      : `the best checkpoint, ${best}, is gone: the last step stays`;
    log({ type: "message", level: there ? "info" : "warn", text });
  }
  // The newest was kept for resuming; now the run is complete.
  if (best !== null && args.save_total_limit === 1)
    for (const { dir } of await listCheckpoints(args.output_dir)) if (dir !== best) await removeCheckpoint(dir);
  return { state, metrics: { ...metrics, epoch: state.epoch }, steps, weightsOf, ownUpTo, differences };
}

/** Backend and instruction set as checkpoints record them. Threads are left out: they change no bit. */
function arithmeticOf({ name, description }: Backend): string {
  return `${name} (${description.replace(/, \d+ threads?$/, "")})`;
}
