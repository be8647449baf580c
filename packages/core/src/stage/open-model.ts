/// <reference lib="esnext.disposable" preserve="true" />
import { InputError, type ArtifactRef } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { resolvePrecision } from "../config/precision.js";
import { resolveDataset, type ResolvedDataset } from "../hub/resolve-dataset.js";
import { checkTokenizer } from "../models/check-tokenizer.js";
import { openBase, type BaseOptions } from "../models/base.js";
import { unusedDropout } from "../models/decoder-options.js";
import { causalLm, trainedLm, type CausalLm } from "../models/role.js";
import { WholeWeights } from "../models/whole-weights.js";
import type { Adapter } from "../nn/adapter.js";
import type { ParameterArena } from "../nn/parameters.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkFolder, checkNewFile, checkOutputDir } from "../training/output-dir.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { attachAdapter } from "./attach-adapter.js";
import { findFolders, openBackend, openFolders } from "./find-model.js";
import { findSources } from "./find-sources.js";
import type { StageFlags } from "./flags.js";

/** What a stage trains, and where it came from. */
export interface OpenedModel extends AsyncDisposable {
  readonly base: ArtifactRef<"causal-lm">;
  /** The base, the adapter at peft_path, and a data set of the hub. */
  readonly inputs: readonly ArtifactRef[];
  readonly tokenizer: Tokenizer;
  /** A Jinja template that is saved in place of the tokenizer's own, where the stage writes conversations otherwise. */
  readonly chatTemplate?: string | undefined;
  readonly backend: Backend;
  readonly model: CausalLm;
  /** undefined when every weight is trained. */
  readonly lora: LoraConfig | undefined;
  /** What is trained, and saved: the adapter or every weight. */
  readonly trained: Adapter | WholeWeights;
  /** Where it is trained; undefined where nothing is. */
  readonly arena: ParameterArena | undefined;
  /** The files of config.dataset_name. */
  readonly dataset: ResolvedDataset | undefined;
  /** The fields that the user set. */
  readonly given: ReadonlySet<string>;
}

export interface OpenModelOptions {
  /** The fields that the user set, which an adapter at peft_path must not contradict. */
  readonly given: ReadonlySet<string>;
  /** The flag with the most tokens that a row has, to be checked against the model's positions. */
  readonly longest: { readonly flag: string; readonly tokens: number };
  /** The architecture that the user expects. */
  readonly modelType?: string | null;
  readonly ropeScaling?: BaseOptions["ropeScaling"];
  /** The kinds of files that the stage reads; by default those of text. */
  readonly extensions?: readonly string[];
}

/**
 * Checks and opens what the flags name, and says what was chosen. What is on the hub is fetched into its cache; nothing
 * else is written. Disposing of the backend frees it all.
 * @throws InputError for unusable input
 */
export async function openModel(
  config: StageFlags,
  { given, longest, modelType = null, ropeScaling, extensions }: OpenModelOptions,
  context: RunContext,
): Promise<OpenedModel> {
  const warn = (text: string): void => say(context, text, "warn");
  const { model_name_or_path, tokenizer_name_or_path, peft_path } = config;
  await checkFolder("output_dir", config.output_dir);
  if (config.logging_dir !== null) await checkFolder("logging_dir", config.logging_dir);
  if (config.profile !== null) await checkNewFile("profile", config.profile);
  // A wrong folder is said before anything large is read; what else there is to say of the data comes with the data.
  await findSources(config, undefined, { log: () => undefined }, extensions);
  if (config.do_train) {
    const lost = await checkOutputDir(config, [model_name_or_path, tokenizer_name_or_path, peft_path]);
    if (lost !== undefined) warn(lost);
  }
  if (peft_path !== null && !config.use_peft) warn("--peft_path: changes nothing with --use_peft False");
  const folders = await findFolders(config, config.use_peft ? peft_path : null, context);
  const found = await openFolders(folders, { name: "--peft_path", bringsTokenizer: false }, context);
  const { base, adapter, tokenizer } = found;
  const inputs: ArtifactRef[] = [...found.inputs];
  const { dataset_name, dataset_config_name } = config;
  const dataset =
    dataset_name === null ? undefined : await resolveDataset(dataset_name, dataset_config_name, folders.hub);
  if (config.do_train && dataset?.train.length === 0)
    throw new InputError("--do_train: the data set has no split train", { place: dataset_name ?? "" });
  if (dataset?.hub !== undefined) inputs.push({ kind: "dataset", path: dataset.dir, digest: null, hub: dataset.hub });

  const backend = await openBackend(config, context);
  try {
    const { precision, line } = resolvePrecision(config, backend.dtypes);
    if (line !== undefined) say(context, line);
    const compute = precision === "bf16" ? "bf16" : "f32";
    const weights = await openBase(base.dir, { backend, compute, ropeScaling, warn });
    if (modelType !== null && modelType !== weights.config.modelType)
      warn(`--model_type ${modelType}: config.json says ${weights.config.modelType}, which is used`);
    const dropout = unusedDropout(weights.config).join(", ");
    if (config.do_train && dropout !== "")
      warn(`config.json asks for dropout inside the model (${dropout}), which is not applied; --lora_dropout is`);
    const attached = config.use_peft
      ? await attachAdapter(weights, { ...config, peft_path: adapter?.dir ?? null }, given, warn)
      : undefined;
    const trained = attached ?? new WholeWeights(weights);
    const isTrained = config.use_peft || config.do_train;
    const { model, arena } = isTrained ? trainedLm(weights, trained) : { model: causalLm(weights), arena: undefined };
    checkModel(model, tokenizer, longest, context);
    const [some, all] = [arena?.values.size ?? 0, weights.parameterCount].map((n) => n.toLocaleString("en"));
    say(context, `${precision}; ${some} of ${all} parameters are trained`);
    const lora = attached?.config;
    return {
      base: found.inputs[0],
      inputs,
      tokenizer,
      backend,
      model,
      lora,
      trained,
      arena,
      dataset,
      given,
      [Symbol.asyncDispose]: () => backend.dispose(),
    };
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

function checkModel(
  model: CausalLm,
  tokenizer: Tokenizer,
  longest: OpenModelOptions["longest"],
  context: RunContext,
): void {
  const { vocabSize, maxPositions } = model.options;
  checkTokenizer(tokenizer, model);
  if (tokenizer.vocabSize < vocabSize)
    say(
      context,
      `the tokenizer has ${tokenizer.vocabSize} tokens, the model ${vocabSize} embeddings; the rest stay unused`,
    );
  if (maxPositions !== undefined && longest.tokens > maxPositions)
    throw new InputError(`--${longest.flag} ${longest.tokens}: the model has only ${maxPositions} positions`);
}
