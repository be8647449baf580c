import { commandFlags, flag, positional, topic } from "@medgpt/core/config";
import { z } from "zod";

import { outputFlags } from "../convert/config.js";
import { TARGET_NAMES } from "../targets/targets.js";

export const pullSchema = z.strictObject({
  ...topic("Data set", {
    name: positional(z.string(), { help: "A data set of `medgpt data list`, or the path of a card.json like theirs." }),
    subset: flag(z.string().nullable(), { default: null, help: "Which of its subsets, where it has several." }),
    splits: flag(z.array(z.string()).min(1).nullable(), {
      default: null,
      help: "Which of its splits, such as train,validation; by default all.",
    }),
    hf_hub_token: flag(z.string().nullable(), {
      default: null,
      help: "The access token for the hub; by default that of HF_TOKEN or of the file that `hf auth login` writes.",
      secret: true,
    }),
  }),
  ...topic("Conversion", {
    to: flag(z.enum(TARGET_NAMES).nullable(), {
      default: null,
      help: "The format to write; by default sharegpt for instructions, text or preference for these.",
    }),
    ...outputFlags,
  }),
  ...commandFlags,
});

export type PullConfig = z.output<typeof pullSchema>;
