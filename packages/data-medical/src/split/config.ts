import { commandFlags, flag, required, topic } from "@medgpt/core/config";
import { z } from "zod";
import { comparedByFlag, inputFlags, overwriteFlag, seedFlag, threadFlags } from "../row-inputs.js";

const share = z.number().min(0).lt(1);

export const splitSchema = z
  .strictObject({
    ...inputFlags,
    ...topic("Splits", {
      validation: flag(share, { default: 0.05, help: "The share of the rows for validation.jsonl." }),
      test: flag(share, { default: 0, help: "The share of the rows for test.jsonl." }),
      by: comparedByFlag(
        "prompt",
        "Rows stay together whose first question (prompt) is the same but for case, spaces and punctuation, or of which everything is the same (row).",
      ),
      seed: seedFlag,
    }),
    ...topic("Output", {
      out: required(z.string(), { help: "The folder for train.jsonl, validation.jsonl and test.jsonl." }),
      overwrite: overwriteFlag,
    }),
    ...threadFlags,
    ...commandFlags,
  })
  .superRefine(({ validation, test }, context) => {
    if (validation + test >= 1)
      context.addIssue({ code: "custom", path: ["test"], message: "leaves no rows for train.jsonl" });
  });

export type SplitConfig = z.output<typeof splitSchema>;
