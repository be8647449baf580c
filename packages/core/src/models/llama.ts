import { InputError } from "@medgpt/artifacts";
import {
  inverseFrequencies,
  optionalBool,
  optionalInt,
  optionalNumber,
  optionalString,
  requireInt,
  ropeParameters,
  tieWordEmbeddings,
  type HfConfig,
} from "../checkpoint/hf-config.js";
import type { DecoderOptions, LinearModule } from "../nn/decoder.js";
import type { Family } from "./family.js";

/** Llama 1 to 3, and what shares their block: RMSNorm, rotary positions, grouped queries, a gated SiLU MLP. */
export const llama: Family = {
  modelType: "llama",
  decoder: (config) => {
    const attentionBias = optionalBool(config, "attention_bias") ?? false;
    return llamaLike(config, {
      qkvBias: attentionBias,
      outputBias: attentionBias,
      mlpBias: optionalBool(config, "mlp_bias") ?? false,
    });
  },
};

/** The decoder of llama and the families that differ from it in biases alone. */
export function llamaLike(
  config: HfConfig,
  biases: { qkvBias: boolean; outputBias: boolean; mlpBias: boolean },
): DecoderOptions {
  const hiddenSize = requireInt(config, "hidden_size");
  const heads = requireInt(config, "num_attention_heads");
  const kvHeads = optionalInt(config, "num_key_value_heads") ?? heads;
  const headDim = optionalInt(config, "head_dim") ?? hiddenSize / heads;
  const inner = requireInt(config, "intermediate_size");
  const act = optionalString(config, "hidden_act") ?? "silu";
  if (act !== "silu")
    throw new InputError(`expected hidden_act "silu", got "${act}", which is not supported`, { place: config.path });
  if (!Number.isInteger(headDim))
    throw new InputError(`hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${heads}`, {
      place: config.path,
    });
  if (kvHeads < 1 || heads % kvHeads !== 0)
    throw new InputError(`num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`, {
      place: config.path,
    });
  const maxPositions = requireInt(config, "max_position_embeddings");
  const { invFreq, attentionFactor } = inverseFrequencies(ropeParameters(config), headDim);
  const module = (name: string, out: number, width: number, bias: boolean): LinearModule => ({
    name,
    out,
    in: width,
    bias,
  });
  return {
    hiddenSize,
    layers: requireInt(config, "num_hidden_layers"),
    heads,
    kvHeads,
    headDim,
    vocabSize: requireInt(config, "vocab_size"),
    maxPositions,
    tieWordEmbeddings: tieWordEmbeddings(config),
    norm: { kind: "rms", eps: optionalNumber(config, "rms_norm_eps") ?? 1e-6 },
    positions: { kind: "rope", invFreq, factor: attentionFactor },
    activation: "silu",
    names: {
      basePrefix: "model.",
      embedding: "model.embed_tokens",
      layers: "model.layers",
      finalNorm: "model.norm",
      head: "lm_head",
    },
    inputNorm: "input_layernorm",
    postAttentionNorm: "post_attention_layernorm",
    attention: {
      q: module("self_attn.q_proj", heads * headDim, hiddenSize, biases.qkvBias),
      k: module("self_attn.k_proj", kvHeads * headDim, hiddenSize, biases.qkvBias),
      v: module("self_attn.v_proj", kvHeads * headDim, hiddenSize, biases.qkvBias),
    },
    attentionOutput: module("self_attn.o_proj", hiddenSize, heads * headDim, biases.outputBias),
    mlp: {
      gate: module("mlp.gate_proj", inner, hiddenSize, biases.mlpBias),
      up: module("mlp.up_proj", inner, hiddenSize, biases.mlpBias),
      down: module("mlp.down_proj", hiddenSize, inner, biases.mlpBias),
    },
  };
}
