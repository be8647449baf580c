import { InputError } from "@medgpt/artifacts";
import { optionalBool, optionalInt, optionalNumber, requireInt, tieWordEmbeddings } from "../checkpoint/hf-config.js";
import { unsupported } from "./config-fields.js";
import type { Family } from "./family.js";

/** BLOOM and BLOOMZ: LayerNorm also on the embeddings, ALiBi, queries, keys and values interleaved by head. */
export const bloom: Family = {
  modelType: "bloom",
  // prettier-ignore
  keys: {
    acted: [
      "hidden_size", "layer_norm_epsilon", "n_embed", "n_head", "n_layer", "num_attention_heads", "num_hidden_layers",
      "pretraining_tp", "slow_but_exact",
    ],
    // How Megatron computed it. ALiBi has no last position.
    inert: [
      "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi", "skip_bias_add",
      "skip_bias_add_qkv",
    ],
    refused: {
      apply_residual_connection_post_layernorm: { idle: [], why: "the residual stream is not normed" },
    },
  },
  dropout: { attention_dropout: 0, hidden_dropout: 0 },
  decoder: (config) => {
    const hiddenSize = requireInt(config, "hidden_size", "n_embed");
    const heads = requireInt(config, "n_head", "num_attention_heads");
    const headDim = hiddenSize / heads;
    if (!Number.isInteger(headDim))
      throw new InputError(`hidden_size ${hiddenSize} is not a multiple of n_head ${heads}`, { place: config.path });
    // pretraining_tp alone changes nothing; with this transformers leaves the biases of two projections out.
    if (optionalBool(config, "slow_but_exact") && (optionalInt(config, "pretraining_tp") ?? 1) > 1)
      throw unsupported(config, "slow_but_exact", "with pretraining_tp above 1 it leaves biases out");
    return {
      hiddenSize,
      layers: requireInt(config, "n_layer", "num_hidden_layers"),
      heads,
      kvHeads: heads,
      headDim,
      vocabSize: requireInt(config, "vocab_size"),
      maxPositions: undefined,
      tieWordEmbeddings: tieWordEmbeddings(config),
      norm: { kind: "layer", eps: optionalNumber(config, "layer_norm_epsilon") ?? 1e-5 },
      positions: { kind: "alibi" },
      activation: "gelu_tanh",
      names: {
        basePrefix: "transformer.",
        embedding: "transformer.word_embeddings",
        embeddingNorm: "transformer.word_embeddings_layernorm",
        layers: "transformer.h",
        finalNorm: "transformer.ln_f",
        head: "lm_head",
      },
      attentionNorm: { before: "input_layernorm" },
      attention: {
        packed: { name: "self_attention.query_key_value", out: 3 * hiddenSize, in: hiddenSize, bias: true },
        packing: "by head",
      },
      attentionOutput: { name: "self_attention.dense", out: hiddenSize, in: hiddenSize, bias: true },
      mlpNorm: { before: "post_attention_layernorm" },
      mlp: {
        up: { name: "mlp.dense_h_to_4h", out: 4 * hiddenSize, in: hiddenSize, bias: true },
        down: { name: "mlp.dense_4h_to_h", out: hiddenSize, in: 4 * hiddenSize, bias: true },
      },
    };
  },
};
