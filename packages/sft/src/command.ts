import type { Command } from "@medgpt/core/config";

import { sftSchema } from "./config.js";
import { runSft } from "./recipe.js";

/** `medgpt sft` and `medgpt-sft`. */
export const command: Command<typeof sftSchema> = {
  name: "sft",
  summary: "Fine-tune a causal language model on conversations, with loss on the answers.",
  config: sftSchema,
  presets: new URL("../presets/", import.meta.url),
  savesOnInterrupt: true,
  run: runSft,
};
