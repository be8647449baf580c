import type { Command } from "@medgpt/core/config";
import { sampleSchema } from "./config.js";
import { runSample } from "./sample.js";

/** `medgpt data sample` */
export const command: Command<typeof sampleSchema> = {
  name: "data sample",
  summary: "Take some rows by chance.",
  config: sampleSchema,
  run: runSample,
};
