import { commandFlags, required, topic } from "@medgpt/core/config";
import { z } from "zod";
import { inputFlags, overwriteFlag, seedFlag, threadFlags } from "../row-inputs.js";

export const sampleSchema = z.strictObject({
  ...inputFlags,
  ...topic("Sample", {
    rows: required(z.int().min(1), { help: "How many rows; none is taken twice." }),
    seed: seedFlag,
  }),
  ...topic("Output", {
    out: required(z.string(), { help: "The .jsonl file for the rows, in the order of the input." }),
    overwrite: overwriteFlag,
  }),
  ...threadFlags,
  ...commandFlags,
});

export type SampleConfig = z.output<typeof sampleSchema>;
