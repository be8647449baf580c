import { requireInt } from "../checkpoint/hf-config.js";
import { layerWindows, slidingWindow, unsupported, withDefaults } from "./config-fields.js";
import type { Family } from "./family.js";
import { LLAMA_KEYS, llamaLike } from "./llama.js";

/** Mistral: llama without biases, with one window in every layer (from version 0.2 on none). */
export const mistral: Family = {
  modelType: "mistral",
  keys: { acted: [...LLAMA_KEYS, "layer_types", "sliding_window"] },
  dropout: { attention_dropout: 0 },
  decoder: (given) => {
    const config = withDefaults(given, { num_key_value_heads: 8, sliding_window: 4096 });
    const window = slidingWindow(config);
    const layers = requireInt(config, "num_hidden_layers");
    const windows = layerWindows(config, layers, window, () => window !== undefined);
    if (window !== undefined && windows?.every((size) => size === window) !== true)
      throw unsupported(config, "layer_types", "in this family every layer has the sliding_window");
    return llamaLike(config, { qkvBias: false, outputBias: false, mlpBias: false, windows });
  },
};
