/// <reference lib="esnext.disposable" preserve="true" />
import { artifactRef, InputError, openArtifact, type ArtifactRef } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import { chooseBackend } from "../backends/choose.js";
import { resolvePrecision } from "../config/precision.js";
import { connectHub } from "../hub/connection.js";
import { resolveDataset, type ResolvedDataset } from "../hub/resolve-dataset.js";
import { resolveModel } from "../hub/resolve-model.js";
import { otherBase } from "../models/adapter-base.js";
import { checkTokenizer } from "../models/check-tokenizer.js";
import { openBase, type BaseOptions } from "../models/base.js";
import { unusedDropout } from "../models/decoder-options.js";
import { causalLm, trainedLm, type CausalLm } from "../models/role.js";
import { WholeWeights } from "../models/whole-weights.js";
import type { Adapter } from "../nn/adapter.js";
import type { ParameterArena } from "../nn/parameters.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import { checkFolder, checkNewFile, checkOutputDir } from "../training/output-dir.js";
import type { RunContext } from "../run/run-context.js";
import { attachAdapter } from "./attach-adapter.js";
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
  const say = (text: string, level: "info" | "warn" = "info"): void => context.log({ type: "message", level, text });
  const warn = (text: string): void => say(text, "warn");
  const { model_name_or_path, tokenizer_name_or_path, peft_path } = config;
  await checkFolder("output_dir", config.output_dir);
  if (config.logging_dir !== null) await checkFolder("logging_dir", config.logging_dir);
  if (config.profile !== null) await checkNewFile("profile", config.profile);
  // A wrong folder is said before anything large is read; what else there is to say of the data comes with the data.
  await findSources(config, undefined, { log: () => undefined }, extensions);
  if (config.do_train) {
    const lost = await checkOutputDir(config, [model_name_or_path, tokenizer_name_or_path, peft_path]);
    if (lost !== undefined) say(lost, "warn");
  }
  const hub = await connectHub(context, { token: config.hf_hub_token });
  const found = await resolveModel(model_name_or_path, "model", hub, config.model_revision ?? "main");
  if (found.hub === undefined && given.has("model_revision"))
    say("--model_revision: changes nothing for a local folder");
  const base = await openArtifact(found.dir, "causal-lm");
  const inputs: ArtifactRef[] = [artifactRef(base, found.hub)];
  let adapter: string | undefined;
  if (peft_path !== null && !config.use_peft) say("--peft_path: changes nothing with --use_peft False", "warn");
  else if (peft_path !== null) {
    const start = await resolveModel(peft_path, "adapter", hub);
    adapter = start.dir;
    const artifact = await openArtifact(start.dir, "adapter");
    const other = otherBase(artifact, base);
    if (other !== undefined) warn(`--peft_path: ${other}`);
    inputs.push(artifactRef(artifact, start.hub));
  }
  const otherTokenizer = tokenizer_name_or_path !== null && tokenizer_name_or_path !== model_name_or_path;
  const tokenizer = await loadTokenizer(
    otherTokenizer ? (await resolveModel(tokenizer_name_or_path, "tokenizer", hub)).dir : base.dir,
    { warn: (text) => say(text, "warn") },
  );
  const { dataset_name, dataset_config_name } = config;
  const dataset = dataset_name === null ? undefined : await resolveDataset(dataset_name, dataset_config_name, hub);
  if (config.do_train && dataset?.train.length === 0)
    throw new InputError("--do_train: the data set has no split train", { place: dataset_name ?? "" });
  if (dataset?.hub !== undefined) inputs.push({ kind: "dataset", path: dataset.dir, digest: null, hub: dataset.hub });

  const threads = config.threads === null ? {} : { threads: config.threads };
  const { backend, reason } = await chooseBackend({ backend: config.backend, ...threads });
  try {
    say(`backend: ${backend.name} (${backend.description}): ${reason}`);
    const { precision, line } = resolvePrecision(config, backend.dtypes);
    if (line !== undefined) say(line);
    const compute = precision === "bf16" ? "bf16" : "f32";
    const weights = await openBase(base.dir, { backend, compute, ropeScaling, warn });
    if (modelType !== null && modelType !== weights.config.modelType)
      say(`--model_type ${modelType}: config.json says ${weights.config.modelType}, which is used`, "warn");
    const dropout = unusedDropout(weights.config).join(", ");
    if (config.do_train && dropout !== "")
      say(
        `config.json asks for dropout inside the model (${dropout}), which is not applied; --lora_dropout is`,
        "warn",
      );
    const attached = config.use_peft
      ? await attachAdapter(weights, { ...config, peft_path: adapter ?? null }, given, warn)
      : undefined;
    const trained = attached ?? new WholeWeights(weights);
    const isTrained = config.use_peft || config.do_train;
    const { model, arena } = isTrained ? trainedLm(weights, trained) : { model: causalLm(weights), arena: undefined };
    checkModel(model, tokenizer, longest, say);
    const [some, all] = [arena?.values.size ?? 0, weights.parameterCount].map((n) => n.toLocaleString("en"));
    say(`${precision}; ${some} of ${all} parameters are trained`);
    const lora = attached?.config;
    return {
      base: artifactRef(base, found.hub),
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
  say: (text: string) => void,
): void {
  const { vocabSize, maxPositions } = model.options;
  checkTokenizer(tokenizer, model);
  if (tokenizer.vocabSize < vocabSize)
    say(`the tokenizer has ${tokenizer.vocabSize} tokens, the model ${vocabSize} embeddings; the rest stay unused`);
  if (maxPositions !== undefined && longest.tokens > maxPositions)
    throw new InputError(`--${longest.flag} ${longest.tokens}: the model has only ${maxPositions} positions`);
}
