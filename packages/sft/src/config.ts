/**
 * Every flag of supervised fine-tuning: those of MedicalGPT's supervised_finetuning.py, those of transformers'
 * TrainingArguments under their names there, and a few of ours. Defaults are supervised_finetuning.py's where it sets one,
 * else transformers'.
 */
import { encodingFlags } from "@medgpt/core/chat";
import {
  accepted,
  commandFlags,
  flag,
  mainFlags,
  orderedByTopic,
  refused,
  ropeScalingFlag,
  topic,
  torchDtype,
} from "@medgpt/core/config";
import { checkFlags, mainStageFlags, rowStageFlags } from "@medgpt/core/stage";
import { z } from "zod";

const attentionFlags = topic("Model", {
  rope_scaling: ropeScalingFlag(
    "Stretch the rotary positions until model_max_length fits; whoever uses the adapter has to do the same.",
  ),
  flash_attn: accepted(z.boolean(), { default: false, because: "attention is always computed in tiles" }),
  shift_attn: refused(z.boolean(), {
    default: false,
    why: "shifted sparse attention trains what no other program runs; leave it out",
  }),
});

const chatFlags = topic("Data", {
  train_file_dir: flag(z.string().nullable(), {
    default: null,
    help: 'A folder searched at every depth for .jsonl, .json and .parquet with "conversations" of {from, value} (ShareGPT) or "messages" of {role, content}.',
  }),
  ...encodingFlags,
  ignore_pad_token_for_loss: accepted(z.boolean(), { default: true, because: "batches have no padding" }),
  packing: flag(z.boolean(), {
    default: false,
    help: "Put several conversations into a row of up to model_max_length tokens; each sees those before it.",
  }),
  neat_packing: flag(z.boolean(), {
    default: false,
    help: "The same with attention and positions inside each conversation, so that the loss is that of single rows.",
  }),
});

const noiseFlags = topic("Optimizer", {
  neft_alpha: flag(z.number().min(0), {
    default: 0,
    alias: ["neftune_noise_alpha"],
    help: "While training, add noise to the embeddings of up to neft_alpha / sqrt(tokens * hidden size) (NEFTune).",
  }),
});

/** supervised_finetuning.py asks for half precision where nothing else is said. */
const precisionFlags = topic("Precision and memory", {
  torch_dtype: flag(torchDtype.nullable(), {
    default: "float16",
    help: "bfloat16 and float16 ask for half precision as bf16 and fp16 do; the others leave it to these two.",
  }),
});

/** The configuration of runSft. Its keys are the flags. */
export const sftSchema = z
  .strictObject(
    mainFlags(
      orderedByTopic({
        ...rowStageFlags,
        ...attentionFlags,
        ...chatFlags,
        ...noiseFlags,
        ...precisionFlags,
        ...commandFlags,
      }),
      [...mainStageFlags, "model_max_length", "template_name", "config"],
    ),
  )
  .superRefine((config, context) => checkFlags(config, context, "a folder of conversations"));

export type SftConfig = z.output<typeof sftSchema>;
