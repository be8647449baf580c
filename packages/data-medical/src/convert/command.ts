import type { Command } from "@medgpt/core/config";

import { convertSchema } from "./config.js";
import { runConvert } from "./convert.js";

/** `medgpt data convert`. */
export const command: Command<typeof convertSchema> = {
  name: "data convert",
  summary: "Convert data between the formats of text, instruction, preference and prompt data.",
  config: convertSchema,
  run: runConvert,
};
