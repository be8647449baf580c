import type { Command } from "@medgpt/core/config";
import { statsSchema } from "./config.js";
import { runStats } from "./stats.js";

/** `medgpt data stats` */
export const command: Command<typeof statsSchema> = {
  name: "data stats",
  summary: "Say how many rows, turns, characters and tokens files have, and how long they are.",
  config: statsSchema,
  run: runStats,
};
