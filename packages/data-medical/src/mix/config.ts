import { commandFlags, flag, positional, required, topic } from "@medgpt/core/config";
import { z } from "zod";
import { inputFlags, overwriteFlag, seedFlag, threadFlags } from "../row-inputs.js";

export const mixSchema = z.strictObject({
  ...topic("Input", {
    in: positional(z.array(z.string()).min(1), {
      help: "Files or folders of rows, each with its weight: FILE:WEIGHT. Weights of 7 and 3 are the same as of 0.7 and 0.3.",
    }),
    from: inputFlags.from,
  }),
  ...topic("Mixture", {
    rows: flag(z.int().min(1).nullable(), {
      default: null,
      help: "How many rows to write; by default as many as there are without taking one twice.",
    }),
    exhausted: flag(z.enum(["stop", "repeat"]), {
      default: "stop",
      help: "Where a source has fewer rows than its share: write fewer rows in all, so that the shares are kept and none is taken twice (stop), or take its rows again (repeat).",
    }),
    seed: seedFlag,
  }),
  ...topic("Output", {
    out: required(z.string(), { help: "The .jsonl file for the mixture." }),
    overwrite: overwriteFlag,
  }),
  ...threadFlags,
  ...commandFlags,
});

export type MixConfig = z.output<typeof mixSchema>;
