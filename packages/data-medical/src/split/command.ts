import type { Command } from "@medgpt/core/config";
import { splitSchema } from "./config.js";
import { runSplit } from "./split.js";

/** `medgpt data split` */
export const command: Command<typeof splitSchema> = {
  name: "data split",
  summary: "Divide rows into train, validation and test by a hash of their text.",
  config: splitSchema,
  run: runSplit,
};
