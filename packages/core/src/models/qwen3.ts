import { optionalBool } from "../checkpoint/hf-config.js";
import { withDefaults } from "./config-fields.js";
import type { Family } from "./family.js";
import { LLAMA_KEYS, llamaLike } from "./llama.js";
import { QWEN_KEYS, qwenWindows } from "./qwen2.js";

/** Qwen 3 (dense): llama with each head of queries and keys normed before it is rotated. */
export const qwen3: Family = {
  modelType: "qwen3",
  keys: { acted: [...LLAMA_KEYS, ...QWEN_KEYS, "attention_bias"] },
  dropout: { attention_dropout: 0 },
  decoder: (given) => {
    const config = withDefaults(given, {
      head_dim: 128,
      num_key_value_heads: 32,
      sliding_window: 4096,
      max_window_layers: 28,
    });
    const bias = optionalBool(config, "attention_bias") ?? false;
    const windows = qwenWindows(config);
    return llamaLike(config, { qkvBias: bias, outputBias: bias, mlpBias: false, headNorms: true, windows });
  },
};
