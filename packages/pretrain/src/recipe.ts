import { mkdir } from "node:fs/promises";
import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import {
  chooseRecomputation,
  createTensorBoardWriter,
  defaultLoggingDir,
  evaluate,
  prepareOutputDir,
  profileSteps,
  train,
  writeLogRow,
  writeResults,
  type LogRow,
  type RunContext,
  type TensorBoardWriter,
} from "@medgpt/core/training";
import { evaluates, type PretrainConfig } from "./config.js";
import { batchesOf, batchStream } from "./data.js";
import { load } from "./load.js";
import { causalLoss } from "./loss.js";
import { saveArtifact, saveModel } from "./save.js";

/**
 * Continues the pretraining of a causal language model on text, and writes an adapter (or, with use_peft false, the
 * whole model) into config.output_dir.
 * @param given the fields that the user set, which an adapter at peft_path must not contradict
 * @returns the artifact; undefined when only evaluating
 * @throws InputError for unusable input; AbortError when the context's signal aborts, after saving a checkpoint
 */
export async function runPretrain(
  config: PretrainConfig,
  context: RunContext,
  { given = new Set() }: { given?: ReadonlySet<string> } = {},
): Promise<AdapterArtifact | CausalLmArtifact | undefined> {
  const loaded = await load(config, given, context);
  const { model, lora, backend, data } = loaded;
  const say = (text: string): void => context.log({ type: "message", level: "info", text });
  const evaluateModel = (): Promise<Record<string, number>> => {
    const task = { rows: data.validation.count, batch: batchesOf(data.validation), loss: model.loss.bind(model) };
    return evaluate(task, config.per_device_eval_batch_size, context);
  };
  const newWriter = (): TensorBoardWriter | undefined => {
    if (config.report_to.includes("none")) return undefined;
    return createTensorBoardWriter(config.logging_dir ?? defaultLoggingDir(config.output_dir, new Date()));
  };

  try {
    let artifact: AdapterArtifact | CausalLmArtifact | undefined;
    let reached: { epoch?: number; step: number } = { step: 0 };
    if (config.do_train) {
      let writer: TensorBoardWriter | undefined;
      const profile = profileSteps(backend, config.profile, context);
      const task = {
        arena: model.arena as NonNullable<typeof model.arena>,
        rows: data.train.count,
        batch: batchesOf(data.train),
        stream: data.stream && batchStream(data.stream),
        loss: causalLoss(model, lora?.lora_dropout ?? 0, chooseRecomputation(model, config, say)),
        evaluate: evaluates(config) && data.validation.count > 0 ? evaluateModel : undefined,
        saveModel: async (dir: string) => void (await saveModel(loaded, config, dir)),
        loadModel: (dir: string) => model.restore(dir),
        computeParameters: model.parameterCount - model.options.vocabSize * model.options.hiddenSize,
        begin: () => prepareOutputDir(config),
        onLog: (row: LogRow) => writeLogRow((writer ??= newWriter()), row),
      };
      const { state, metrics } = await train(task, config, profile.context).finally(() => writer?.close());
      await profile.finish();
      reached = { epoch: state.epoch, step: state.global_step };
      const { max_steps, gradient_accumulation_steps, per_device_train_batch_size } = config;
      const samples = max_steps * gradient_accumulation_steps * per_device_train_batch_size;
      const train_samples = data.stream === undefined ? data.train.count : samples;
      await writeResults(config.output_dir, "train", { ...metrics, train_samples });
      artifact = await saveArtifact(loaded, config, state);
      context.log({ type: "saved", path: config.output_dir, what: artifact.kind });
    }
    if (evaluates(config)) {
      const metrics = await evaluateModel();
      const { epoch, step } = reached;
      const perplexity = Math.exp(metrics["eval_loss"] ?? NaN);
      const results = { ...metrics, eval_samples: data.validation.count, perplexity, ...(epoch && { epoch }) };
      context.log({ type: "eval", step, metrics: results });
      await mkdir(config.output_dir, { recursive: true });
      await writeResults(config.output_dir, "eval", results);
      const writer = newWriter();
      writeLogRow(writer, { ...metrics, ...reached });
      writer?.close();
    }
    return artifact;
  } finally {
    await loaded.close();
  }
}
