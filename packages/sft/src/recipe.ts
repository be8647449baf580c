import { jinjaTemplate } from "@medgpt/core/chat";
import { inTurn } from "@medgpt/core/run";
import { openModel, planStageMemory, trainAndEvaluate, withSummary } from "@medgpt/core/stage";
import type { RunStage, StageInfo } from "@medgpt/core/stage";
import { sftSchema, type SftConfig } from "./config.js";
import { EXTENSIONS, loadData } from "./data.js";
import { answerLoss } from "./loss.js";

/** Fine-tunes a causal language model on conversations, with loss on the answers. */
export const runSft: RunStage<SftConfig> = async (config, context, { given = new Set<string>() } = {}) => {
  const { model_max_length: maxLength, rope_scaling, template_name: template } = config;
  const longest = { flag: "model_max_length", tokens: maxLength };
  const ropeScaling = rope_scaling === null ? undefined : { type: rope_scaling, maxLength };
  const options = { given, longest, ropeScaling, extensions: EXTENSIONS };
  await using opened = await inTurn(context, () => openModel(config, options, context));
  const { tokenizer, dataset } = opened;
  await using data = await inTurn(context, () => loadData(config, tokenizer, context, dataset));
  const recomputedLayers = planStageMemory(opened, config, data, longest, context);
  const task = { ...data, ...answerLoss(opened, { neftAlpha: config.neft_alpha, recomputedLayers }) };
  const chatTemplate = template === null ? undefined : jinjaTemplate(tokenizer, template);
  return await withSummary(opened, config, STAGE, context, (context) =>
    trainAndEvaluate({ ...opened, chatTemplate }, config, task, STAGE, context),
  );
};

const STAGE: StageInfo = {
  packageJson: new URL("../package.json", import.meta.url),
  title: "Supervised fine-tuning",
  tag: "supervised-fine-tuning",
  schema: sftSchema,
  next: ({ base, output, isAdapter, template }) => [
    ...["chat", "--model_name_or_path", isAdapter ? base : output],
    ...(isAdapter ? ["--adapter", output] : []),
    ...(template === null ? [] : ["--template_name", template]),
  ],
};
