import { commandFlags, flag, onlyTokenizerFlag, positional, topic } from "@medgpt/core/config";
import { z } from "zod";
import { overwriteFlag } from "../row-inputs.js";

export const lintSchema = z
  .strictObject({
    ...topic("Input", {
      in: positional(z.array(z.string()).min(1), {
        help: "Files of rows (.jsonl, .json, .csv, .parquet, .txt), or folders of such files.",
      }),
      against: flag(z.array(z.string()).nullable(), {
        default: null,
        help: "Files or folders of held-out rows whose questions the input may not repeat; by default the input's own files named validation, dev, eval or test.",
      }),
    }),
    ...topic("Rules", {
      rules: flag(z.array(z.string()).nullable(), { default: null, help: "Check by these rules alone." }),
      ignore: flag(z.array(z.string()), { default: [], help: "Leave these rules out." }),
      tokenizer_name_or_path: onlyTokenizerFlag(
        "The folder of a tokenizer or model: look for its special tokens in texts and for what its chat template refuses, and count for max_length.",
      ),
      max_length: flag(z.int().min(1).nullable(), { default: null, help: "Tokens that a row may have." }),
    }),
    ...topic("Output", {
      show: flag(z.int().min(0), {
        default: 20,
        help: "Findings of a rule shown for each file; 0 shows all, as --json does.",
      }),
      fix: flag(z.boolean(), {
        default: false,
        help: "Repair what can be repaired without changing what a row says, and remove exact duplicates.",
      }),
      quarantine: flag(z.string().nullable(), {
        default: null,
        help: "Move rows that have findings (after --fix, those that still have) to this file, with the reasons.",
      }),
      out: flag(z.string().nullable(), {
        default: null,
        help: "The folder for the files that --fix and --quarantine write.",
      }),
      in_place: flag(z.boolean(), {
        default: false,
        help: "Replace the files by what --fix and --quarantine leave of them.",
      }),
      overwrite: overwriteFlag,
    }),
    ...commandFlags,
  })
  .superRefine((config, context) => {
    const refuse = (path: string, message: string): void => context.addIssue({ code: "custom", path: [path], message });
    const writes = config.fix || config.quarantine !== null;
    const places = Number(config.out !== null) + Number(config.in_place);
    if (writes && places !== 1)
      refuse(config.fix ? "fix" : "quarantine", "expected one of --out and --in_place with it");
    if (!writes && places > 0)
      refuse(
        config.in_place ? "in_place" : "out",
        "expected --fix or --quarantine with it, as nothing else is written",
      );
    if (config.max_length !== null && config.tokenizer_name_or_path === null)
      refuse("max_length", "expected --tokenizer_name_or_path with it");
  });

export type LintConfig = z.output<typeof lintSchema>;
