import { mkdir } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { InputError, openArtifact, type AdapterArtifact, type CausalLmArtifact } from "@medgpt/artifacts";
import { tokenLoss } from "../models/role.js";
import { evaluate } from "../training/evaluate.js";
import { writeLogRow } from "../training/log-row.js";
import { prepareOutputDir } from "../training/output-dir.js";
import { profileSteps } from "../training/profile-steps.js";
import { writeResults } from "../training/results.js";
import type { RunContext } from "../run/run-context.js";
import { createTensorBoardWriter, defaultLoggingDir, type TensorBoardWriter } from "../training/tensorboard.js";
import { train, type TrainingResult, type TrainingTask } from "../training/train.js";
import type { LogRow } from "../training/trainer-state.js";
import { evaluates } from "./check-flags.js";
import { stageFlags, type StageFlags } from "./flags.js";
import type { OpenedModel } from "./open-model.js";
import {
  compareAdapter,
  differencesBetween,
  readRunRecord,
  runRecord,
  type RunRecord,
  type Traits,
} from "./run-record.js";
import { saveArtifact, saveModel, type StageInfo } from "./save-artifact.js";

/** Rows by their numbers, and how micro-batches are made of them. */
export interface Batches extends Pick<TrainingTask, "rows" | "batch"> {
  /** The tokens of its `count` longest rows, or as many as they may be. */
  longest(count: number): number;
}

export interface StageTask {
  readonly train: Batches;
  /** In place of `train`, where the number of rows is not known beforehand. */
  readonly stream?: TrainingTask["stream"];
  readonly validation: Batches;
  readonly loss: TrainingTask["loss"];
  /** What the rows to train on are made of, so that a run that is resumed with others can say so. */
  readonly traits: Traits;
}

/**
 * Trains and evaluates as the flags say, and writes checkpoints, logs, metrics and the artifact into config.output_dir.
 * Where a checkpoint leaves nothing to train, what is there of the artifact stays as it is.
 * @returns the artifact; undefined when only evaluating
 * @throws AbortError when the context's signal aborts, after saving a checkpoint; InputError where another run writes into
 * the folder, or what is to be resumed cannot be
 */
export async function trainAndEvaluate(
  opened: OpenedModel,
  config: StageFlags,
  task: StageTask,
  stage: StageInfo,
  context: RunContext,
): Promise<AdapterArtifact | CausalLmArtifact | undefined> {
  const { model } = opened;
  const { validation } = task;
  const evaluateModel = (): Promise<Record<string, number>> =>
    evaluate({ ...validation, loss: (batch) => tokenLoss(model, batch) }, config.per_device_eval_batch_size, context);
  const log = openLog(config);

  let artifact: AdapterArtifact | CausalLmArtifact | undefined;
  let trained: TrainingResult | undefined;
  let unlock = (): Promise<void> => Promise.resolve();
  try {
    if (config.do_train) {
      const evaluateInTraining = evaluates(config) && validation.rows > 0 ? evaluateModel : undefined;
      const begin = async (): Promise<void> => {
        unlock = await prepareOutputDir(config.output_dir);
      };
      trained = await trainStage(opened, config, task, stage, context, { begin, log, evaluate: evaluateInTraining });
      artifact = await finish(opened, config, task, stage, context, trained);
    }
    if (evaluates(config)) {
      const reached = trained && { epoch: trained.state.epoch, step: trained.state.global_step };
      const before = trained && log.evaluations.get(trained.weightsOf);
      const metrics = before ?? (await evaluateModel());
      const perplexity = Math.exp(metrics["eval_loss"] ?? NaN);
      const epoch = reached?.epoch;
      const results = { ...metrics, eval_samples: validation.rows, perplexity, ...(epoch && { epoch }) };
      context.log({ type: "eval", step: reached?.step ?? 0, metrics: results });
      await mkdir(config.output_dir, { recursive: true });
      await writeResults(config.output_dir, "eval", results);
      if (before === undefined) log.add({ ...metrics, step: 0, ...reached });
    }
  } finally {
    log.close();
    await unlock();
  }
  return artifact;
}

/** Whether the user left it to us how often to log. From code, the default's value counts as that. */
function isLoggingDefault({ given }: OpenedModel, { logging_steps }: StageFlags): boolean {
  return !given.has("logging_steps") && logging_steps === stageFlags.logging_steps.def.defaultValue;
}

interface RunLog {
  /** The folder of TensorBoard files; chosen by whoever first asks, unless `goOnIn` did. */
  readonly dir: string;
  /** Metrics of evaluations of this process, by the step. */
  readonly evaluations: ReadonlyMap<number, Record<string, number>>;
  goOnIn(dir: string): void;
  add(row: LogRow): void;
  close(): void;
}

/** The TensorBoard files of a run, which are begun with the first row. */
function openLog({ report_to, logging_dir, output_dir }: StageFlags): RunLog {
  let dir = logging_dir ?? defaultLoggingDir(output_dir, new Date());
  let writer: TensorBoardWriter | undefined;
  const evaluations = new Map<number, Record<string, number>>();
  return {
    get dir() {
      return dir;
    },
    evaluations,
    goOnIn(before) {
      if (logging_dir === null) dir = before;
    },
    add(row) {
      if (!report_to.includes("none")) writeLogRow((writer ??= createTensorBoardWriter(dir)), row);
      const metrics = Object.entries(row).filter(([key]) => key.startsWith("eval_"));
      if (metrics.length > 0) evaluations.set(row["step"] ?? 0, Object.fromEntries(metrics));
    },
    close: () => writer?.close(),
  };
}

async function trainStage(
  opened: OpenedModel,
  config: StageFlags,
  { train: rows, stream, loss, traits }: StageTask,
  stage: StageInfo,
  context: RunContext,
  { begin, log, evaluate }: Required<Pick<TrainingTask, "begin">> & { log: RunLog } & Pick<TrainingTask, "evaluate">,
): Promise<TrainingResult> {
  const { model, trained, arena, backend } = opened;
  if (arena === undefined) throw new RangeError("nothing of the model is trained");
  const counted: Traits = stream === undefined ? { "the number of rows to train on": rows.rows } : {};
  const now = runRecord(opened, config, stage, { ...traits, ...counted });
  const profile = profileSteps(backend, config.profile, context);
  const task: TrainingTask = {
    ...rows,
    stream,
    loss,
    arena,
    evaluate,
    saveModel: async (dir: string) => void (await saveModel(opened, config, dir)),
    loadModel: (dir: string) => trained.restore(dir),
    computeParameters: model.base.parameterCount - model.options.vocabSize * model.options.hiddenSize,
    isLoggingDefault: isLoggingDefault(opened, config),
    record: (): RunRecord => {
      const tracked = config.logging_dir === null && !config.report_to.includes("none");
      return { ...now, logging_dir: tracked ? relative(config.output_dir, log.dir) : null };
    },
    compare: async (checkpoint) => {
      const before = await readRunRecord(checkpoint);
      const isHere = dirname(resolve(checkpoint)) === resolve(config.output_dir);
      if (isHere && before?.logging_dir) log.goOnIn(join(config.output_dir, before.logging_dir));
      const adapter = await compareAdapter(opened, checkpoint);
      if (before !== undefined) return [...differencesBetween(before, now, stage), ...adapter];
      const text = `${checkpoint}: an earlier version saved it, so whether the data or the flags were others is not known`;
      context.log({ type: "message", level: "info", text });
      return adapter;
    },
    begin,
    onLog: log.add,
  };
  const result = await train(task, config, profile.context);
  await profile.finish();
  return result;
}

/** Writes the artifact, unless nothing was trained and it is there. */
async function finish(
  opened: OpenedModel,
  config: StageFlags,
  { train: rows, stream }: StageTask,
  stage: StageInfo,
  context: RunContext,
  trained: TrainingResult,
): Promise<AdapterArtifact | CausalLmArtifact> {
  const { output_dir: dir } = config;
  if (trained.steps === 0) {
    const there = await openArtifact(dir, ["adapter", "causal-lm"]).catch(() => undefined);
    if (there?.inferred === false) {
      context.log({ type: "message", level: "info", text: `${dir}: the result is left as it is` });
      return there;
    }
    if (trained.differences.length > 0)
      throw new InputError(
        `nothing is left to train, and its result would be said to come of what it was not trained with: ${trained.differences.join("; ")}; give the flags of that run, or train longer`,
        { place: dir },
      );
  }
  const { max_steps, gradient_accumulation_steps, per_device_train_batch_size } = config;
  const streamed = max_steps * gradient_accumulation_steps * per_device_train_batch_size;
  const train_samples = stream === undefined ? rows.rows : streamed;
  // Where nothing was trained, no checkpoint makes way for the result.
  const ownUpTo = trained.steps === 0 ? Number.MAX_SAFE_INTEGER : trained.ownUpTo;
  const metrics = { ...trained.metrics, train_samples };
  const artifact = await saveArtifact(opened, config, { ...trained, metrics, ownUpTo }, stage);
  context.log({ type: "saved", path: dir, what: artifact.kind });
  return artifact;
}
