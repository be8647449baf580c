import { inTurn } from "@medgpt/core/run";
import { openModel, planStageMemory, trainAndEvaluate, withSummary } from "@medgpt/core/stage";
import type { RunStage, StageInfo } from "@medgpt/core/stage";
import { pretrainSchema, type PretrainConfig } from "./config.js";
import { loadData, stageData } from "./data.js";
import { causalLoss } from "./loss.js";

/** Continues the pretraining of a causal language model on text. */
export const runPretrain: RunStage<PretrainConfig> = async (config, context, { given = new Set<string>() } = {}) => {
  const longest = { flag: "block_size", tokens: config.block_size };
  const options = { given, longest, modelType: config.model_type };
  await using opened = await inTurn(context, () => openModel(config, options, context));
  const { tokenizer, dataset } = opened;
  await using loaded = await inTurn(context, () => loadData(config, tokenizer, context, dataset));
  const data = stageData(loaded);
  const recomputed = planStageMemory(opened, config, data, longest, context);
  const task = { ...data, ...causalLoss(opened, recomputed) };
  return await withSummary(opened, config, STAGE, context, (context) =>
    trainAndEvaluate(opened, config, task, STAGE, context),
  );
};

const STAGE: StageInfo = {
  packageJson: new URL("../package.json", import.meta.url),
  title: "Continued pretraining",
  tag: "continued-pretraining",
  schema: pretrainSchema,
  next: ({ base, output, isAdapter }) =>
    isAdapter
      ? ["merge", "--model_name_or_path", base, "--lora_model", output, "--output_dir", `${output}-merged`]
      : ["generate", "--raw", "--model_name_or_path", output, "--prompt", "Diabetes is"],
};
