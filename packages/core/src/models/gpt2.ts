import { InputError } from "@medgpt/artifacts";
import { optionalBool, optionalInt, optionalNumber, requireInt, tieWordEmbeddings } from "../checkpoint/hf-config.js";
import { activationField } from "./config-fields.js";
import type { Family } from "./family.js";

/** GPT-2: LayerNorm, learned positions, weights stored (in, out), queries, keys and values in one projection. */
export const gpt2: Family = {
  modelType: "gpt2",
  // prettier-ignore
  keys: {
    acted: [
      "activation_function", "hidden_size", "layer_norm_epsilon", "max_position_embeddings", "n_embd", "n_head", "n_inner",
      "n_layer", "n_positions", "num_attention_heads", "num_hidden_layers", "scale_attn_weights",
    ],
    // reorder_and_upcast_attn asks for scores in float32, which they always are here.
    inert: [
      "n_ctx", "predict_special_tokens", "reorder_and_upcast_attn", "summary_activation", "summary_first_dropout",
      "summary_proj_to_labels", "summary_type", "summary_use_proj",
    ],
    refused: {
      scale_attn_by_inverse_layer_idx: { idle: [], why: "scores of all layers are scaled alike" },
    },
  },
  dropout: { attn_pdrop: 0.1, embd_pdrop: 0.1, resid_pdrop: 0.1 },
  decoder: (config) => {
    const hiddenSize = requireInt(config, "n_embd", "hidden_size");
    const heads = requireInt(config, "n_head", "num_attention_heads");
    const inner = optionalInt(config, "n_inner") ?? 4 * hiddenSize;
    const maxPositions = requireInt(config, "n_positions", "max_position_embeddings");
    if (hiddenSize % heads !== 0)
      throw new InputError(`n_embd ${hiddenSize} is not a multiple of n_head ${heads}`, { place: config.path });
    return {
      hiddenSize,
      layers: requireInt(config, "n_layer", "num_hidden_layers"),
      heads,
      kvHeads: heads,
      headDim: hiddenSize / heads,
      vocabSize: requireInt(config, "vocab_size"),
      maxPositions,
      tieWordEmbeddings: tieWordEmbeddings(config),
      norm: { kind: "layer", eps: optionalNumber(config, "layer_norm_epsilon") ?? 1e-5 },
      positions: { kind: "learned", name: "transformer.wpe", count: maxPositions },
      activation: activationField(config, "activation_function", "gelu_new"),
      fanInFanOut: true,
      names: {
        basePrefix: "transformer.",
        embedding: "transformer.wte",
        layers: "transformer.h",
        finalNorm: "transformer.ln_f",
        head: "lm_head",
      },
      attentionNorm: { before: "ln_1" },
      attention: {
        packed: { name: "attn.c_attn", out: 3 * hiddenSize, in: hiddenSize, bias: true },
        packing: "by part",
      },
      attentionOutput: { name: "attn.c_proj", out: hiddenSize, in: hiddenSize, bias: true },
      scores: { scale: optionalBool(config, "scale_attn_weights") === false ? 1 : undefined },
      mlpNorm: { before: "ln_2" },
      mlp: {
        up: { name: "mlp.c_fc", out: inner, in: hiddenSize, bias: true },
        down: { name: "mlp.c_proj", out: hiddenSize, in: inner, bias: true },
      },
    };
  },
};
