import { chooseBackend } from "@medgpt/core/backends";
import { parseShardSize } from "@medgpt/core/checkpoint";
import type { Command } from "@medgpt/core/config";
import { mergeAdapter } from "@medgpt/core/models";
import type { RunContext } from "@medgpt/core/run";

import { mergeSchema, type MergeConfig } from "./config.js";

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
  const threads = config.threads === null ? {} : { threads: config.threads };
  const { backend, reason } = await chooseBackend({ backend: config.backend, ...threads });
  try {
    const text = `backend: ${backend.name} (${backend.description}): ${reason}`;
    context.log({ type: "message", level: "info", text });
    const artifact = await mergeAdapter(
      {
        base: config.model_name_or_path,
        adapter: config.adapter,
        outputDir: config.output_dir,
        tokenizer: config.tokenizer_name_or_path ?? undefined,
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
