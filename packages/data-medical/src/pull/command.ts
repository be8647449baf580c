import type { Command } from "@medgpt/core/config";

import { pullSchema } from "./config.js";
import { runPull } from "./pull.js";

/** `medgpt data pull`. */
export const command: Command<typeof pullSchema> = {
  name: "data pull",
  summary: "Download a data set that has a card, and convert it.",
  config: pullSchema,
  run: runPull,
};
