import { openModel, planStageMemory, trainAndEvaluate, withSummary } from "@medgpt/core/stage";
import type { RunStage, StageInfo } from "@medgpt/core/stage";
import { pretrainSchema, type PretrainConfig } from "./config.js";
import { loadData, stageData } from "./data.js";
import { causalLoss } from "./loss.js";

/** Continues the pretraining of a causal language model on text. */
export const runPretrain: RunStage<PretrainConfig> = async (config, context, { given = new Set<string>() } = {}) => {
  const longest = { flag: "block_size", tokens: config.block_size };
  await using opened = await openModel(config, { given, longest, modelType: config.model_type }, context);
  await using loaded = await loadData(config, opened.tokenizer, context, opened.dataset);
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
