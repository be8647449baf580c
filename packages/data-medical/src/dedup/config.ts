import { commandFlags, flag, required, topic } from "@medgpt/core/config";
import { z } from "zod";
import { comparedByFlag, inputFlags, overwriteFlag, seedFlag, threadFlags } from "../row-inputs.js";

export const dedupSchema = z.strictObject({
  ...inputFlags,
  ...topic("Duplicates", {
    by: comparedByFlag("row", "Compare all that rows say, or only what the user asks first (prompt)."),
    near: flag(z.number().min(0.5).max(1).nullable(), {
      default: null,
      help: "Take texts for duplicates that have this share of their runs of three Chinese characters or six letters in common, such as 0.8, as MinHash estimates it; by default only equal ones.",
    }),
    seed: seedFlag,
  }),
  ...topic("Output", {
    out: required(z.string(), { help: "The .jsonl file for the rows that are kept: of those alike, the first." }),
    duplicates: flag(z.string().nullable(), {
      default: null,
      help: "A file for one line a duplicate: where it is, where the row is that it repeats, and how alike they are.",
    }),
    overwrite: overwriteFlag,
  }),
  ...threadFlags,
  ...commandFlags,
});

export type DedupConfig = z.output<typeof dedupSchema>;
