/** The flags of the commands that belong to no stage. */
import { deviceFlags } from "@medgpt/core/backends";
import {
  accepted,
  commandFlags,
  flag,
  hubFlags,
  modelFlag,
  refused,
  requiredAdapterFlag,
  tokenizerFlag,
  topic,
  torchDtype,
} from "@medgpt/core/config";
import { z } from "zod";
import { ropeFlags } from "./rope-scaling.js";

const path = z.string();

/** `medgpt merge`: the flags of MedicalGPT's merge_peft_adapter.py, under their names there and those of the stages. */
export const mergeSchema = z.strictObject({
  ...topic("Merging", {
    model_name_or_path: modelFlag("The folder of the model that the adapter was trained on, or its name on the hub."),
    adapter: requiredAdapterFlag(
      "The folder of the adapter (adapter_config.json and adapter_model.safetensors), or its name on the hub.",
    ),
    tokenizer_name_or_path: tokenizerFlag(
      "The folder of the tokenizer to copy; by default the adapter's own, or the model's where it has none.",
    ),
    output_dir: flag(path, { default: "merged", help: "The folder for the merged model." }),
    overwrite_output_dir: flag(z.boolean(), {
      default: false,
      help: "Replace the model in output_dir; a folder that holds anything else is never replaced.",
    }),
    max_shard_size: flag(z.string(), {
      default: "5GB",
      help: "The size up to which weights go into one file, such as 500MB or a number of bytes.",
    }),
    torch_dtype: flag(torchDtype, {
      default: "auto",
      alias: ["dtype"],
      help: "The dtype to write the weights in; auto keeps the model's.",
    }),
    allow_other_base: flag(z.boolean(), {
      default: false,
      help: "Merge into another model than the adapter's medgpt.json says that it was trained on.",
    }),
    resize_emb: accepted(z.boolean(), {
      default: false,
      because: "the merged model gets the embeddings that the adapter was trained with, however many they are",
    }),
    model_type: accepted(z.string().nullable(), { default: null, because: "config.json says what the model is" }),
    hf_hub_model_id: refused(z.string().nullable(), {
      default: null,
      asks: (id) => id !== null && id !== "",
      why: "nothing is pushed to a hub; push the merged folder with huggingface-cli",
    }),
    ...hubFlags,
    ...ropeFlags,
  }),
  ...deviceFlags,
  ...commandFlags,
});

export type MergeConfig = z.output<typeof mergeSchema>;
