/** Which model and tokenizer are opened. */
import { z } from "zod";
import { modelFlag, tokenizerFlag } from "../../config/model-flags.js";
import { flag, topic } from "../../config/schema.js";

export const modelFlags = topic("Model", {
  model_name_or_path: modelFlag(
    "The folder of the model (config.json, safetensors files and tokenizer), or its name on the hub, such as Qwen/Qwen2.5-0.5B.",
  ),
  tokenizer_name_or_path: tokenizerFlag(
    "The folder of the tokenizer or its name on the hub, where it is not the model's.",
  ),
  model_revision: flag(z.string().nullable(), {
    default: "main",
    help: "The branch, tag or commit of a model on the hub.",
  }),
  hf_hub_token: flag(z.string().nullable(), {
    default: null,
    help: "The access token for the hub; by default that of HF_TOKEN or of the file that `hf auth login` writes.",
    secret: true,
  }),
});
