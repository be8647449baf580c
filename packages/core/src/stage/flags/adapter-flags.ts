/** What is trained: a LoRA adapter and how, or every weight. */
import { z } from "zod";
import { peftPathFlag } from "../../config/model-flags.js";
import { flag, topic } from "../../config/schema.js";
import { dropout } from "./values.js";

export const adapterFlags = topic("LoRA", {
  use_peft: flag(z.boolean(), { default: true, help: "Train a LoRA adapter; False trains every weight." }),
  target_modules: flag(z.array(z.string()).min(1), {
    default: ["all"],
    help: "Names of the modules that get an adapter; `all` for every linear layer but the output head.",
  }),
  lora_rank: flag(z.int().min(1), { default: 8, help: "Rank of the adapter matrices." }),
  lora_alpha: flag(z.number().gt(0), {
    default: 32,
    help: "The adapter's output is scaled by lora_alpha / lora_rank.",
  }),
  lora_dropout: flag(dropout, { default: 0.05, help: "Dropout of the adapter's input in training." }),
  use_rslora: flag(z.boolean(), {
    default: false,
    help: "Scale the adapter's output by lora_alpha / sqrt(lora_rank) instead (rank-stabilised LoRA).",
  }),
  peft_path: peftPathFlag("The folder of an adapter to go on training, or its name on the hub."),
  modules_to_save: flag(z.array(z.string()).nullable(), {
    default: null,
    help: "Modules trained and saved in full beside the adapter, such as embed_tokens,lm_head.",
  }),
});
