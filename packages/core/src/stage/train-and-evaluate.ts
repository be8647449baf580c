import { mkdir } from "node:fs/promises";
import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import { evaluate } from "../training/evaluate.js";
import { writeLogRow } from "../training/log-row.js";
import { prepareOutputDir } from "../training/output-dir.js";
import { profileSteps } from "../training/profile-steps.js";
import { writeResults } from "../training/results.js";
import type { RunContext } from "../training/run-context.js";
import { createTensorBoardWriter, defaultLoggingDir, type TensorBoardWriter } from "../training/tensorboard.js";
import { train, type TrainingTask } from "../training/train.js";
import type { LogRow } from "../training/trainer-state.js";
import { evaluates } from "./check-flags.js";
import { stageFlags, type StageFlags } from "./flags.js";
import type { OpenedModel } from "./open-model.js";
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
}

/**
 * Trains and evaluates as the flags say, and writes checkpoints, logs, metrics and the artifact into config.output_dir.
 * @returns the artifact; undefined when only evaluating
 * @throws AbortError when the context's signal aborts, after saving a checkpoint
 */
export async function trainAndEvaluate(
  opened: OpenedModel,
  config: StageFlags,
  { train: rows, stream, validation, loss }: StageTask,
  stage: StageInfo,
  context: RunContext,
): Promise<AdapterArtifact | CausalLmArtifact | undefined> {
  const { model, backend } = opened;
  const evaluateModel = (): Promise<Record<string, number>> =>
    evaluate({ ...validation, loss: model.loss.bind(model) }, config.per_device_eval_batch_size, context);
  const newWriter = (): TensorBoardWriter | undefined => {
    if (config.report_to.includes("none")) return undefined;
    return createTensorBoardWriter(config.logging_dir ?? defaultLoggingDir(config.output_dir, new Date()));
  };

  let artifact: AdapterArtifact | CausalLmArtifact | undefined;
  let reached: { epoch?: number; step: number } = { step: 0 };
  if (config.do_train) {
    let writer: TensorBoardWriter | undefined;
    const profile = profileSteps(backend, config.profile, context);
    const task = {
      ...rows,
      stream,
      loss,
      arena: model.arena as NonNullable<typeof model.arena>,
      evaluate: evaluates(config) && validation.rows > 0 ? evaluateModel : undefined,
      saveModel: async (dir: string) => void (await saveModel(opened, config, dir)),
      loadModel: (dir: string) => model.restore(dir),
      computeParameters: model.parameterCount - model.options.vocabSize * model.options.hiddenSize,
      isLoggingDefault: isLoggingDefault(opened, config),
      begin: () => prepareOutputDir(config),
      onLog: (row: LogRow) => writeLogRow((writer ??= newWriter()), row),
    };
    const { state, metrics } = await train(task, config, profile.context).finally(() => writer?.close());
    await profile.finish();
    reached = { epoch: state.epoch, step: state.global_step };
    const { max_steps, gradient_accumulation_steps, per_device_train_batch_size } = config;
    const streamed = max_steps * gradient_accumulation_steps * per_device_train_batch_size;
    const train_samples = stream === undefined ? rows.rows : streamed;
    await writeResults(config.output_dir, "train", { ...metrics, train_samples });
    artifact = await saveArtifact(opened, config, state, stage);
    context.log({ type: "saved", path: config.output_dir, what: artifact.kind });
  }
  if (evaluates(config)) {
    const metrics = await evaluateModel();
    const { epoch, step } = reached;
    const perplexity = Math.exp(metrics["eval_loss"] ?? NaN);
    const results = { ...metrics, eval_samples: validation.rows, perplexity, ...(epoch && { epoch }) };
    context.log({ type: "eval", step, metrics: results });
    await mkdir(config.output_dir, { recursive: true });
    await writeResults(config.output_dir, "eval", results);
    const writer = newWriter();
    writeLogRow(writer, { ...metrics, ...reached });
    writer?.close();
  }
  return artifact;
}

/** Whether the user left it to us how often to log. From code, the default's value counts as that. */
function isLoggingDefault({ given }: OpenedModel, { logging_steps }: StageFlags): boolean {
  return !given.has("logging_steps") && logging_steps === stageFlags.logging_steps.def.defaultValue;
}
