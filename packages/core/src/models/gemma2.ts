import { optionalBool, optionalNumber, requireInt } from "../checkpoint/hf-config.js";
import {
  activationField,
  layerWindows,
  slidingWindow,
  softCapField,
  unsupported,
  withDefaults,
} from "./config-fields.js";
import type { Family } from "./family.js";
import { LLAMA_KEYS, llamaLike } from "./llama.js";

/**
 * Gemma 2: norms before and after both halves of a layer, their weights stored less one, scaled embeddings, scores and
 * logits capped by tanh, and a window in every other layer.
 */
export const gemma2: Family = {
  modelType: "gemma2",
  // prettier-ignore
  keys: {
    // hidden_act is not looked at, as in transformers: hidden_activation is.
    acted: [
      ...LLAMA_KEYS, "attention_bias", "attn_logit_softcapping", "final_logit_softcapping", "hidden_activation",
      "layer_types", "query_pre_attn_scalar", "sliding_window",
    ],
  },
  dropout: { attention_dropout: 0 },
  decoder: (given) => {
    const config = withDefaults(given, {
      pad_token_id: 0,
      head_dim: 256,
      num_key_value_heads: 4,
      sliding_window: 4096,
      query_pre_attn_scalar: 256,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    });
    const bias = optionalBool(config, "attention_bias") ?? false;
    const activation = activationField(config, "hidden_activation", "gelu_pytorch_tanh");
    const base = llamaLike(config, { qkvBias: bias, outputBias: bias, mlpBias: false, activation });
    const perScore = optionalNumber(config, "query_pre_attn_scalar") ?? 0;
    if (!(perScore > 0)) throw unsupported(config, "query_pre_attn_scalar", "expected a number above 0");
    const windows = layerWindows(
      config,
      requireInt(config, "num_hidden_layers"),
      slidingWindow(config),
      (layer) => layer % 2 === 0,
    );
    return {
      ...base,
      norm: { ...base.norm, offset: 1 },
      embeddingScale: Math.fround(Math.sqrt(base.hiddenSize)),
      logitSoftCap: softCapField(config, "final_logit_softcapping"),
      scores: { scale: perScore ** -0.5, softCap: softCapField(config, "attn_logit_softcapping"), windows },
      attentionNorm: { before: "input_layernorm", after: "post_attention_layernorm" },
      mlpNorm: { before: "pre_feedforward_layernorm", after: "post_feedforward_layernorm" },
    };
  },
};
