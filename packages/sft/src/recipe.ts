import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import { jinjaTemplate } from "@medgpt/core/chat";
import { openModel, planStageMemory, trainAndEvaluate, withSummary, type StageInfo } from "@medgpt/core/stage";
import type { RunContext } from "@medgpt/core/run";
import { sftSchema, type SftConfig } from "./config.js";
import { EXTENSIONS, loadData } from "./data.js";
import { answerLoss } from "./loss.js";

/**
 * Fine-tunes a causal language model on conversations, with loss on the answers, and writes an adapter (or, with use_peft
 * false, the whole model) into config.output_dir.
 * @param given the fields that the user set, which an adapter at peft_path must not contradict
 * @returns the artifact; undefined when only evaluating
 * @throws InputError for unusable input; AbortError when the context's signal aborts, after saving a checkpoint
 */
export async function runSft(
  config: SftConfig,
  context: RunContext,
  { given = new Set() }: { given?: ReadonlySet<string> } = {},
): Promise<AdapterArtifact | CausalLmArtifact | undefined> {
  const { model_max_length: maxLength, rope_scaling } = config;
  const longest = { flag: "model_max_length", tokens: maxLength };
  const ropeScaling = rope_scaling === null ? undefined : { type: rope_scaling, maxLength };
  const opened = await openModel(config, { given, longest, ropeScaling, extensions: EXTENSIONS }, context);
  const { model, lora, tokenizer, dataset, backend } = opened;
  try {
    const data = await loadData(config, tokenizer, context, dataset);
    try {
      const loss = answerLoss(model, {
        dropout: lora?.lora_dropout ?? 0,
        neftAlpha: config.neft_alpha,
        recomputedLayers: planStageMemory(opened, config, data, longest, context),
      });
      const named = config.template_name;
      const chatTemplate = named === null ? undefined : jinjaTemplate(tokenizer, named);
      return await withSummary(opened, config, STAGE, context, (context) =>
        trainAndEvaluate({ ...opened, chatTemplate }, config, { ...data, loss }, STAGE, context),
      );
    } finally {
      await data.close();
    }
  } finally {
    await backend.dispose(); // and with it the model
  }
}

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
