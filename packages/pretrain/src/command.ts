import type { Command } from "@medgpt/core/config";

import { pretrainSchema } from "./config.js";
import { runPretrain } from "./recipe.js";

/** `medgpt pretrain` and `medgpt-pretrain`. */
export const command: Command<typeof pretrainSchema> = {
  name: "pretrain",
  summary: "Continue the pretraining of a causal language model on domain text, with LoRA or in full.",
  config: pretrainSchema,
  presets: new URL("../presets/", import.meta.url),
  savesOnInterrupt: true,
  run: runPretrain,
};
