import { readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  artifactRef,
  InputError,
  openArtifact,
  sealArtifact,
  type AdapterArtifact,
  type CausalLmArtifact,
} from "@medgpt/artifacts";
import { chooseBackend } from "@medgpt/core/backends";
import { fieldsOf, resolvePrecision } from "@medgpt/core/config";
import { loadCausalLm, saveAdapter, saveCausalLm } from "@medgpt/core/models";
import { loadTokenizer, saveTokenizer } from "@medgpt/core/tokenizer";
import {
  checkFolder,
  checkOutputDir,
  chooseRecomputation,
  createTensorBoardWriter,
  defaultLoggingDir,
  evaluate,
  prepareOutputDir,
  profileSteps,
  train,
  writeLogRow,
  writeResults,
  writeTrainerState,
  type LogRow,
  type RunContext,
  type TensorBoardWriter,
} from "@medgpt/core/training";
import { attachAdapter } from "./adapter.js";
import { evaluates, pretrainSchema, type PretrainConfig } from "./config.js";
import { batchesOf, loadData } from "./data.js";
import { causalLoss } from "./loss.js";
import { writeModelCard } from "./model-card.js";

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
  const say = (text: string, level: "info" | "warn" = "info"): void => context.log({ type: "message", level, text });
  const { model_name_or_path, tokenizer_name_or_path, peft_path } = config;
  await checkFolder("output_dir", config.output_dir);
  if (config.logging_dir !== null) await checkFolder("logging_dir", config.logging_dir);
  if (config.do_train) await checkOutputDir(config, [model_name_or_path, tokenizer_name_or_path, peft_path]);
  const base = await openArtifact(model_name_or_path, "causal-lm");
  const start = config.use_peft && peft_path !== null ? await openArtifact(peft_path, "adapter") : undefined;
  if (!config.use_peft && peft_path !== null) say("--peft_path: changes nothing with --use_peft False", "warn");
  const tokenizer = await loadTokenizer(tokenizer_name_or_path ?? base.dir);

  const { backend, reason } = await chooseBackend({
    backend: config.backend,
    ...(config.threads === null ? {} : { threads: config.threads }),
  });
  say(`backend: ${backend.name} (${backend.description}): ${reason}`);
  const { precision, line } = resolvePrecision(config, backend.dtypes);
  if (line !== undefined) say(line);
  let closeData: (() => Promise<void>) | undefined;
  try {
    const model = await loadCausalLm(base.dir, { backend, compute: precision === "bf16" ? "bf16" : "f32" });
    const { vocabSize, maxPositions } = model.options;
    if (config.model_type !== null && config.model_type !== model.config.modelType)
      say(`--model_type ${config.model_type}: config.json says ${model.config.modelType}, which is used`, "warn");
    if (tokenizer.vocabSize > vocabSize)
      throw new InputError(
        `the tokenizer has ${tokenizer.vocabSize} tokens and the model only ${vocabSize} embeddings`,
        { place: tokenizer.dir },
      );
    if (tokenizer.vocabSize < vocabSize)
      say(`the tokenizer has ${tokenizer.vocabSize} tokens, the model ${vocabSize} embeddings; the rest stay unused`);
    if (maxPositions !== undefined && config.block_size > maxPositions)
      throw new InputError(`--block_size ${config.block_size}: the model has only ${maxPositions} positions`);

    const lora = config.use_peft ? await attachAdapter(model, config, given) : undefined;
    if (lora === undefined && config.do_train) model.trainAll();
    const trained = model.arena?.values.size ?? 0;
    say(
      `${precision}; ${trained.toLocaleString("en")} of ${model.parameterCount.toLocaleString("en")} parameters are trained`,
    );
    const { train: rows, validation, close } = await loadData(config, tokenizer, context);
    closeData = close;

    const saveModel = (dir: string): Promise<string[]> =>
      lora === undefined ? saveCausalLm(model, dir) : saveAdapter(model, lora, config.model_name_or_path, dir);
    const evaluateModel = (): Promise<Record<string, number>> =>
      evaluate(
        { rows: validation.count, batch: batchesOf(validation), loss: (batch) => model.loss(batch) },
        config.per_device_eval_batch_size,
        context,
      );
    const tensorBoard = !config.report_to.includes("none");
    const newWriter = (): TensorBoardWriter | undefined =>
      tensorBoard
        ? createTensorBoardWriter(config.logging_dir ?? defaultLoggingDir(config.output_dir, new Date()))
        : undefined;

    let artifact: AdapterArtifact | CausalLmArtifact | undefined;
    let reached: { epoch?: number; step: number } = { step: 0 };
    if (config.do_train) {
      let writer: TensorBoardWriter | undefined;
      const profile = profileSteps(backend, config.profile, context);
      const { state, metrics } = await train(
        {
          arena: model.arena as NonNullable<typeof model.arena>,
          rows: rows.count,
          batch: batchesOf(rows),
          loss: causalLoss(model, lora?.lora_dropout ?? 0, chooseRecomputation(model, lora?.r ?? 0, config, say)),
          evaluate: evaluates(config) && validation.count > 0 ? evaluateModel : undefined,
          saveModel: async (dir) => void (await saveModel(dir)),
          loadModel: (dir) => model.restore(dir),
          computeParameters: model.parameterCount - vocabSize * model.options.hiddenSize,
          begin: () => prepareOutputDir(config),
          onLog: (row: LogRow) => writeLogRow((writer ??= newWriter()), row),
        },
        config,
        profile.context,
      ).finally(() => writer?.close());
      await profile.finish();
      reached = { epoch: state.epoch, step: state.global_step };
      const files = [...(await saveModel(config.output_dir)), ...(await saveTokenizer(tokenizer, config.output_dir))];
      await writeModelCard(config.output_dir, config.model_name_or_path, lora);
      await writeTrainerState(config.output_dir, state);
      await writeResults(config.output_dir, "train", { ...metrics, train_samples: rows.count });
      const created = {
        createdBy: { package: "@medgpt/pretrain", version: packageVersion(), config: withoutSecrets(config) },
        inputs: [artifactRef(base), ...(start === undefined ? [] : [artifactRef(start)])],
        // Metrics are no part of the artifact: another evaluation may replace them.
        files: [...files, "README.md", "trainer_state.json"],
      };
      artifact =
        lora === undefined
          ? await sealArtifact(config.output_dir, {
              ...created,
              kind: "causal-lm",
              details: {
                family: model.config.modelType,
                parameters: model.parameterCount,
                vocabSize,
                tokenizer: tokenizer.digest,
              },
            })
          : await sealArtifact(config.output_dir, {
              ...created,
              kind: "adapter",
              details: {
                base: artifactRef(base),
                rank: lora.r,
                alpha: lora.lora_alpha,
                targetModules: typeof lora.target_modules === "string" ? lora.target_modules : [...lora.target_modules],
              },
            });
      context.log({ type: "saved", path: config.output_dir, what: artifact.kind });
    }
    if (evaluates(config)) {
      const metrics = await evaluateModel();
      const { epoch, step } = reached;
      const results = {
        ...metrics,
        eval_samples: validation.count,
        perplexity: Math.exp(metrics["eval_loss"] ?? NaN),
        ...(epoch === undefined ? {} : { epoch }),
      };
      context.log({ type: "eval", step, metrics: results });
      await mkdir(config.output_dir, { recursive: true });
      await writeResults(config.output_dir, "eval", results);
      const writer = newWriter();
      writeLogRow(writer, { ...metrics, ...reached });
      writer?.close();
    }
    return artifact;
  } finally {
    await closeData?.();
    await backend.dispose(); // and with it the model
  }
}

/** The configuration without access tokens, to be written down. */
function withoutSecrets(config: PretrainConfig): Readonly<Record<string, unknown>> {
  const secret = new Set(fieldsOf(pretrainSchema).flatMap((field) => (field.secret ? [field.name] : [])));
  return Object.fromEntries(Object.entries(config).filter(([name]) => !secret.has(name)));
}

function packageVersion(): string {
  const file = join(import.meta.dirname, "../package.json");
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
