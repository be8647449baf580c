/** Which model and tokenizer are opened. */
import { hubFlags, modelFlag, tokenizerFlag } from "../../config/model-flags.js";
import { topic } from "../../config/schema.js";

export const modelFlags = topic("Model", {
  model_name_or_path: modelFlag(
    "The folder of the model (config.json, safetensors files and tokenizer), or its name on the hub, such as Qwen/Qwen2.5-0.5B.",
  ),
  tokenizer_name_or_path: tokenizerFlag(
    "The folder of the tokenizer or its name on the hub, where it is not the model's.",
  ),
  ...hubFlags,
});
