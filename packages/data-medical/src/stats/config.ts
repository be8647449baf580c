import { commandFlags, flag, onlyTokenizerFlag, topic } from "@medgpt/core/config";
import { z } from "zod";
import { inputFlags, overwriteFlag, threadFlags } from "../row-inputs.js";

export const statsSchema = z.strictObject({
  ...inputFlags,
  ...topic("Statistics", {
    tokenizer_name_or_path: onlyTokenizerFlag(
      "The folder of a tokenizer or model: count tokens too, without what a chat template adds.",
    ),
    html: flag(z.string().nullable(), { default: null, help: "Write the statistics as a page into this file too." }),
    overwrite: overwriteFlag,
  }),
  ...threadFlags,
  ...commandFlags,
});

export type StatsConfig = z.output<typeof statsSchema>;
