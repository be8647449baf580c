import { optionalBool, optionalInt, requireInt, type HfConfig } from "../checkpoint/hf-config.js";
import { layerWindows, slidingWindow, withDefaults } from "./config-fields.js";
import type { Family } from "./family.js";
import { LLAMA_KEYS, llamaLike } from "./llama.js";

/** Keys of the windows of Qwen 2 and 3. */
export const QWEN_KEYS: readonly string[] = [
  "layer_types",
  "max_window_layers",
  "sliding_window",
  "use_sliding_window",
];

/** Qwen 1.5 to 2.5: llama with biases on queries, keys and values. */
export const qwen2: Family = {
  modelType: "qwen2",
  keys: { acted: [...LLAMA_KEYS, ...QWEN_KEYS] },
  dropout: { attention_dropout: 0 },
  decoder: (given) => {
    const config = withDefaults(given, { num_key_value_heads: 32, sliding_window: 4096, max_window_layers: 28 });
    const windows = qwenWindows(config);
    return llamaLike(config, { qkvBias: true, outputBias: false, mlpBias: false, windows });
  },
};

/** The window of the layers from max_window_layers on, where use_sliding_window turns it on. */
export function qwenWindows(config: HfConfig): readonly number[] | undefined {
  const window = optionalBool(config, "use_sliding_window") ? slidingWindow(config) : undefined;
  const first = optionalInt(config, "max_window_layers") ?? 0;
  const layers = requireInt(config, "num_hidden_layers");
  return layerWindows(config, layers, window, (layer) => window !== undefined && layer >= first);
}
