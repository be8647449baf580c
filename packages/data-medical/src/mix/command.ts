import type { Command } from "@medgpt/core/config";
import { mixSchema } from "./config.js";
import { runMix } from "./mix.js";

/** `medgpt data mix` */
export const command: Command<typeof mixSchema> = {
  name: "data mix",
  summary: "Mix data sets by weight, such as general data into medical data against forgetting.",
  config: mixSchema,
  run: runMix,
};
