import { mkdir } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { InputError, MedgptError, openArtifact, type AdapterArtifact, type CausalLmArtifact } from "@medgpt/artifacts";
import type { Batch } from "../data/packing/batch.js";
import { oneProcess } from "../run/communicator.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { evaluate, type Measure } from "../training/evaluate.js";
import type { Objective } from "../training/optimizer-step.js";
import { prepareOutputDir } from "../training/output-dir.js";
import { profileSteps } from "../training/profile-steps.js";
import { writeResults } from "../training/results.js";
import type { Rows } from "../training/step-batches.js";
import { TensorBoardLog } from "../training/tensorboard-log.js";
import { trainRows, type Tokens, type TrainingResult, type TrainingTask } from "../training/train-rows.js";
import { evaluates } from "./check-flags.js";
import { stageFlags, type StageFlags } from "./flags.js";
import type { OpenedModel } from "./open-model.js";
import { compareAdapter, differencesBetween, readRunRecord, runRecord, type Traits } from "./run-record.js";
import { saveArtifact, saveModel } from "./save-artifact.js";
import type { StageInfo } from "./stage-info.js";

/** Rows by their numbers, and how micro-batches are made of them. */
export interface Batches<B = Batch> extends Rows<B> {
  /** The tokens of its `count` longest rows, or as many as they may be. */
  longest(count: number): number;
}

/** The data that a stage trains on. */
export interface StageData<B = Batch> {
  readonly train: Batches<B>;
  /** In place of `train`, where the number of rows is not known beforehand. */
  readonly stream?: TrainingTask<B>["stream"];
  readonly validation: Batches<B>;
  /** What the rows to train on are made of, so that a run that is resumed with others can say so. */
  readonly traits: Traits;
}

/** What a stage trains on and what for. */
export interface StageTask<B = Batch> extends StageData<B>, Objective<B>, Measure<B> {
  /** What follows from the metrics of the last evaluation. */
  readonly results?: (metrics: Readonly<Record<string, number>>) => Readonly<Record<string, number>>;
}

/** The arguments that the parts of a run share. */
interface StageRun<B> {
  readonly opened: OpenedModel;
  readonly config: StageFlags;
  readonly task: StageTask<B>;
  readonly stage: StageInfo;
  readonly context: RunContext;
}

/**
 * Trains and evaluates as the flags say, and writes checkpoints, logs, metrics and the artifact into config.output_dir.
 * Where a checkpoint leaves nothing to train, what is there of the artifact stays as it is.
 * @returns the artifact; undefined when only evaluating
 * @throws AbortError when the context's signal aborts, after saving a checkpoint; InputError where another run writes into
 * the folder, or what is to be resumed cannot be
 */
export async function trainAndEvaluate<B extends Tokens>(
  opened: OpenedModel,
  config: StageFlags,
  task: StageTask<B>,
  stage: StageInfo,
  context: RunContext,
): Promise<AdapterArtifact | CausalLmArtifact | undefined> {
  const { validation } = task;
  const run = { opened, config, task, stage, context };
  const isFirst = (context.communicator ?? oneProcess).rank === 0;
  const evaluateNow = () => evaluate(validation, task, config.per_device_eval_batch_size, context);
  let unlock = (): Promise<void> => Promise.resolve();
  await using _lock = { [Symbol.asyncDispose]: () => unlock() };
  using log = new TensorBoardLog(config, isFirst);

  let artifact: AdapterArtifact | CausalLmArtifact | undefined;
  let trained: TrainingResult | undefined;
  if (config.do_train) {
    trained = await trainStage(run, log, {
      evaluate: evaluates(config) && validation.rows > 0 ? evaluateNow : undefined,
      async begin() {
        if (isFirst) unlock = await prepareOutputDir(config.output_dir);
      },
    });
    artifact = await finish(run, trained);
  }
  if (evaluates(config)) {
    const reached = trained && { epoch: trained.state.epoch, step: trained.state.global_step };
    const before = trained?.evaluations.get(trained.weightsOf);
    const metrics = before ?? (await evaluateNow());
    const epoch = reached?.epoch;
    const results = {
      ...{ ...metrics, eval_samples: validation.rows },
      ...{ ...task.results?.(metrics), ...(epoch && { epoch }) },
    };
    context.log({ type: "eval", step: reached?.step ?? 0, metrics: results });
    if (isFirst) await mkdir(config.output_dir, { recursive: true });
    if (isFirst) await writeResults(config.output_dir, "eval", results);
    if (before === undefined) log.add({ ...metrics, step: 0, ...reached });
  }
  return artifact;
}

/** Whether the user left it to us how often to log. From code, the default's value counts as that. */
function isLoggingDefault({ given }: OpenedModel, { logging_steps }: StageFlags): boolean {
  return !given.has("logging_steps") && logging_steps === stageFlags.logging_steps.def.defaultValue;
}

async function trainStage<B extends Tokens>(
  { opened, config, task: { train, stream, loss, weight, traits }, stage, context }: StageRun<B>,
  log: TensorBoardLog,
  hooks: Pick<TrainingTask<B>, "begin" | "evaluate">,
): Promise<TrainingResult> {
  const { model, arena, trained, backend } = opened;
  if (arena === undefined) throw new MedgptError("trainAndEvaluate: the model was opened without anything to train");
  const counted: Traits = stream === undefined ? { "the number of rows to train on": train.rows } : {};
  const now = runRecord(opened, config, stage, { ...traits, ...counted });
  const { rank } = context.communicator ?? oneProcess;
  const profile = profileSteps(backend, rank === 0 ? config.profile : null, context);
  const task: TrainingTask<B> = {
    ...{ ...train, stream, loss, weight, ...hooks },
    arena,
    saveModel: async (dir) => void (await saveModel(opened, config, dir)),
    loadModel: (dir) => trained.restore(dir),
    computeParameters: model.base.parameterCount - model.options.vocabSize * model.options.hiddenSize,
    isLoggingDefault: isLoggingDefault(opened, config),
    record: () => ({ ...now, logging_dir: log.dir === undefined ? null : relative(config.output_dir, log.dir) }),
    async compare(checkpoint) {
      const before = await readRunRecord(checkpoint);
      const isHere = dirname(resolve(checkpoint)) === resolve(config.output_dir);
      if (isHere && before?.logging_dir) log.goOnIn(join(config.output_dir, before.logging_dir));
      const adapter = await compareAdapter(opened, checkpoint);
      if (before !== undefined) return [...differencesBetween(before, now, stage), ...adapter];
      say(
        context,
        `${checkpoint}: an earlier version saved it, so whether the data or the flags were others is not known`,
      );
      return adapter;
    },
    onLog: (row) => log.add(row),
  };
  const result = await trainRows(task, config, profile.context);
  await profile.finish();
  return result;
}

/** Writes the artifact, unless nothing was trained and it is there. Process 0 does, and the others wait for it. */
async function finish<B>(
  { opened, config, task: { train, stream }, stage, context }: StageRun<B>,
  trained: TrainingResult,
): Promise<AdapterArtifact | CausalLmArtifact> {
  const { output_dir: dir } = config;
  const { communicator = oneProcess } = context;
  const open = () => openArtifact(dir, ["adapter", "causal-lm"]);
  if (trained.steps === 0) {
    const there = await open().catch(() => undefined);
    await communicator.barrier();
    if (there?.inferred === false) {
      say(context, `${dir}: the result is left as it is`);
      return there;
    }
    if (trained.differences.length > 0)
      throw new InputError(
        `nothing is left to train, and its result would be said to come of what it was not trained with: ${trained.differences.join("; ")}; give the flags of that run, or train longer`,
        { place: dir },
      );
  }
  const { max_steps, gradient_accumulation_steps, per_device_train_batch_size } = config;
  const streamed = max_steps * gradient_accumulation_steps * per_device_train_batch_size * communicator.size;
  const train_samples = stream === undefined ? train.rows : streamed;
  // Where nothing was trained, no checkpoint makes way for the result.
  const ownUpTo = trained.steps === 0 ? Number.MAX_SAFE_INTEGER : trained.ownUpTo;
  const result = { ...trained, metrics: { ...trained.metrics, train_samples }, ownUpTo };
  const artifact = communicator.rank === 0 ? await saveArtifact(opened, config, result, stage) : undefined;
  if (artifact !== undefined) context.log({ type: "saved", path: dir, what: artifact.kind });
  await communicator.barrier();
  return artifact ?? (await open());
}
