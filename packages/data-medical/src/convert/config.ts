import { commandFlags, flag, positional, required, topic } from "@medgpt/core/config";
import { z } from "zod";

import { FORMATS } from "../formats/formats.js";
import { TARGET_NAMES } from "../targets/targets.js";

export const FORMAT_NAMES = FORMATS.map(({ name }) => name);

/** The flags of where converted rows go, which `medgpt data pull` has too. */
export const outputFlags = {
  out: required(z.string().min(1), {
    help: "The .jsonl or .parquet file to write, or a folder that becomes a dataset artifact (medgpt.json and a .jsonl file for each split).",
  }),
  quarantine: flag(z.string().nullable(), {
    default: null,
    help: "A .jsonl file for the rows that are refused, each with its place and the reason; without it the first one ends the run.",
  }),
  overwrite: flag(z.boolean(), { default: false, help: "Replace what is there." }),
};

export const convertSchema = z.strictObject({
  ...topic("Conversion", {
    in: positional(z.array(z.string()).min(1), {
      help: "Files (.jsonl, .json, .csv, .tsv, .parquet, .txt), or a folder that is searched for them at every depth.",
    }),
    to: required(z.enum(TARGET_NAMES), { help: "The format to write." }),
    from: flag(z.enum(FORMAT_NAMES).nullable(), {
      default: null,
      help: "The format to read; by default the one that the columns tell.",
    }),
    ...outputFlags,
  }),
  ...commandFlags,
});

export type ConvertConfig = z.output<typeof convertSchema>;
