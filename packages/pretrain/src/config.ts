/**
 * Every flag of continued pretraining: those of MedicalGPT's pretraining.py, those of transformers' TrainingArguments
 * under their names there (with the older names that published command lines still use), and a few of ours. Defaults
 * are pretraining.py's where it sets one, else transformers'.
 */
import { commandFlags, flag, mainFlags, orderedByTopic, refused, topic } from "@medgpt/core/config";
import { checkFlags, evaluates, limits, mainStageFlags, rowStageFlags } from "@medgpt/core/stage";
import { z } from "zod";

const architectureFlags = topic("Model", {
  model_type: flag(z.string().nullable(), {
    default: null,
    help: "The architecture, to be checked against the one that config.json names.",
  }),
});

const textFlags = topic("Data", {
  train_file_dir: flag(z.string().nullable(), {
    default: null,
    help: 'A folder searched at every depth for .txt (a document a line), .jsonl, .json and .parquet (their "text") files to train on.',
  }),
  block_size: flag(z.int().min(1), {
    default: 1024,
    help: "Tokens in a packed block, or kept of a row without packing.",
  }),
  packing: flag(z.boolean(), {
    default: true,
    help: "Join documents, each ended by EOS, and cut them into full blocks.",
  }),
  neat_packing: flag(z.boolean(), {
    default: false,
    help: "Pack whole documents into blocks; attention and positions stay inside each document.",
  }),
  keep_linebreaks: flag(z.boolean(), {
    default: true,
    help: "Keep the line break at the end of each line of .txt files.",
  }),
  streaming: flag(z.boolean(), {
    default: false,
    help: "Read, shuffle, tokenise and pack the text while training, without a cache; needs --max_steps.",
  }),
  shuffle_buffer_size: flag(z.int().min(1), {
    default: 10_000,
    help: "Documents in the buffer that --streaming shuffles in.",
  }),
});

const noiseFlags = topic("Optimizer", {
  neftune_noise_alpha: refused(z.number().nullable(), {
    default: null,
    asks: (alpha) => alpha !== null && alpha !== 0,
    why: "no noise is added to embeddings; leave it out",
  }),
});

/** The configuration of runPretrain. Its keys are the flags. */
export const pretrainSchema = z
  .strictObject(
    mainFlags(
      orderedByTopic({
        ...rowStageFlags,
        ...architectureFlags,
        ...textFlags,
        ...noiseFlags,
        ...commandFlags,
      }),
      [...mainStageFlags, "block_size", "config"],
    ),
  )
  .superRefine((config, context) => {
    const fail = (name: keyof typeof config, message: string): void => {
      context.addIssue({ code: "custom", path: [name], message });
    };
    checkFlags(config, context, "a folder of text");
    if (config.neat_packing && !config.packing) fail("neat_packing", "packs documents: expected --packing True");
    if (config.streaming && config.do_train && config.max_steps <= 0)
      fail("max_steps", "--streaming needs a number of steps here: how much text there is is not known beforehand");
    if (
      config.streaming &&
      evaluates(config) &&
      config.validation_file_dir === null &&
      config.dataset_name === null &&
      !limits(config.max_eval_samples)
    )
      fail("max_eval_samples", "--streaming sets this many blocks aside; give it, or --validation_file_dir");
  });

export type PretrainConfig = z.output<typeof pretrainSchema>;
