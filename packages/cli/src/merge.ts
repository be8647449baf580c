import { parseShardSize } from "@medgpt/core/checkpoint";
import type { Command } from "@medgpt/core/config";
import { mergeAdapter } from "@medgpt/core/models";
import type { RunContext } from "@medgpt/core/run";
import { findFolders, openBackend } from "@medgpt/core/stage";

import { mergeSchema, type MergeConfig } from "./config.js";
import { ropeScalingOf } from "./rope-scaling.js";

/** `medgpt merge`. */
export const command: Command<typeof mergeSchema> = {
  name: "merge",
  summary: "Merge a LoRA adapter into its base and write a whole model.",
  config: mergeSchema,
  run: runMerge,
};

const DTYPES = { auto: undefined, bfloat16: "bf16", float16: "f16", float32: "f32" } as const;

async function runMerge(config: MergeConfig, context: RunContext): Promise<void> {
  const maxShardBytes = parseShardSize(config.max_shard_size);
  const ropeScaling = ropeScalingOf(config);
  const { model, adapter, tokenizer } = await findFolders(config, config.adapter, context);
  const backend = await openBackend(config, context);
  try {
    const artifact = await mergeAdapter(
      {
        base: model.dir,
        adapter: adapter?.dir ?? config.adapter,
        outputDir: config.output_dir,
        tokenizer: tokenizer?.dir,
        ropeScaling,
        maxShardBytes,
        dtype: DTYPES[config.torch_dtype],
        overwrite: config.overwrite_output_dir,
        allowOtherBase: config.allow_other_base,
        backend,
      },
      context,
    );
    context.log({ type: "saved", path: config.output_dir, what: artifact.kind });
  } finally {
    await backend.dispose();
  }
}
