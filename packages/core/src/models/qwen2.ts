import { InputError } from "@medgpt/artifacts";
import { optionalBool } from "../checkpoint/hf-config.js";
import type { Family } from "./family.js";
import { llamaLike } from "./llama.js";

/** Qwen 1.5 to 2.5: llama with biases on queries, keys and values. */
export const qwen2: Family = {
  modelType: "qwen2",
  decoder: (config) => {
    if (optionalBool(config, "use_sliding_window"))
      throw new InputError("use_sliding_window is not supported for qwen2", { place: config.path });
    return llamaLike(config, { qkvBias: true, outputBias: false, mlpBias: false });
  },
};
