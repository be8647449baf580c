import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import { openModel, planStageMemory, trainAndEvaluate, withSummary, type StageInfo } from "@medgpt/core/stage";
import type { RunContext } from "@medgpt/core/run";
import { pretrainSchema, type PretrainConfig } from "./config.js";
import { batchesOf, batchStream, loadData } from "./data.js";
import { causalLoss } from "./loss.js";

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
  const longest = { flag: "block_size", tokens: config.block_size };
  const opened = await openModel(config, { given, longest, modelType: config.model_type }, context);
  const { model, lora, tokenizer, dataset, backend } = opened;
  try {
    const data = await loadData(config, tokenizer, context, dataset);
    try {
      const batches = {
        train: batchesOf(data.train),
        stream: data.stream && batchStream(data.stream),
        validation: batchesOf(data.validation),
        traits: data.traits,
      };
      const recomputed = planStageMemory(opened, config, batches, longest, context);
      const task = { ...batches, loss: causalLoss(model, lora?.lora_dropout ?? 0, recomputed) };
      return await withSummary(opened, config, STAGE, context, (context) =>
        trainAndEvaluate(opened, config, task, STAGE, context),
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
  title: "Continued pretraining",
  tag: "continued-pretraining",
  schema: pretrainSchema,
  next: ({ base, output, isAdapter }) =>
    isAdapter
      ? ["merge", "--model_name_or_path", base, "--lora_model", output, "--output_dir", `${output}-merged`]
      : ["generate", "--raw", "--model_name_or_path", output, "--prompt", "Diabetes is"],
};
