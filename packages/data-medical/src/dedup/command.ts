import type { Command } from "@medgpt/core/config";
import { dedupSchema } from "./config.js";
import { runDedup } from "./dedup.js";

/** `medgpt data dedup` */
export const command: Command<typeof dedupSchema> = {
  name: "data dedup",
  summary: "Leave out rows that repeat an earlier one, exactly or nearly.",
  config: dedupSchema,
  run: runDedup,
};
