import { InputError } from "@medgpt/artifacts";
import type { Activation } from "../backends/kernels.js";
import {
  optionalBool,
  optionalInt,
  optionalNumber,
  requireInt,
  tieWordEmbeddings,
  type HfConfig,
} from "../checkpoint/hf-config.js";
import type { DecoderOptions, LinearModule } from "../nn/decoder.js";
import { activationField, rotaryEmbedding } from "./config-fields.js";
import type { Family } from "./family.js";

/** Keys that every family with llama's block reads. */
// prettier-ignore
export const LLAMA_KEYS: readonly string[] = [
  "head_dim", "hidden_act", "hidden_size", "intermediate_size", "max_position_embeddings", "num_attention_heads",
  "num_hidden_layers", "num_key_value_heads", "original_max_position_embeddings", "rms_norm_eps", "rope_parameters",
  "rope_scaling", "rope_theta",
];

/** Llama 1 to 3, and what shares their block: RMSNorm, rotary positions, grouped queries, a gated SiLU MLP. */
export const llama: Family = {
  modelType: "llama",
  // pretraining_tp cuts products into parts, which changes nothing but rounding.
  keys: { acted: [...LLAMA_KEYS, "attention_bias", "mlp_bias"], inert: ["pretraining_tp"] },
  dropout: { attention_dropout: 0 },
  decoder: (config) => {
    const attentionBias = optionalBool(config, "attention_bias") ?? false;
    return llamaLike(config, {
      qkvBias: attentionBias,
      outputBias: attentionBias,
      mlpBias: optionalBool(config, "mlp_bias") ?? false,
    });
  },
};

/** The largest in use is 512; a damaged config must not make us allocate what it says. */
const MAX_HEAD_DIM = 65_536;

/** What families with llama's block have of their own. */
export interface LlamaVariant {
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  /** Norms of each head of queries (q_norm) and of keys (k_norm). */
  readonly headNorms?: boolean;
  /** Default hidden_act. */
  readonly activation?: Activation;
  /** As DecoderOptions.scores.windows. */
  readonly windows?: readonly number[] | undefined;
}

/** The decoder of llama and the families that vary it. */
export function llamaLike(config: HfConfig, variant: LlamaVariant): DecoderOptions {
  const hiddenSize = requireInt(config, "hidden_size");
  const heads = requireInt(config, "num_attention_heads");
  const kvHeads = optionalInt(config, "num_key_value_heads") ?? heads;
  const given = optionalInt(config, "head_dim") === undefined ? undefined : requireInt(config, "head_dim");
  const headDim = given ?? hiddenSize / heads;
  const inner = requireInt(config, "intermediate_size");
  if (!Number.isInteger(headDim))
    throw new InputError(`hidden_size ${hiddenSize} is not a multiple of num_attention_heads ${heads}`, {
      place: config.path,
    });
  if (headDim > MAX_HEAD_DIM)
    throw new InputError(`expected head_dim to be at most ${MAX_HEAD_DIM}, got ${headDim}`, { place: config.path });
  if (kvHeads < 1 || heads % kvHeads !== 0)
    throw new InputError(`num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`, {
      place: config.path,
    });
  const { positions, maxPositions } = rotaryEmbedding(config, headDim);
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
    padding: paddingRow(config),
    maxPositions,
    tieWordEmbeddings: tieWordEmbeddings(config),
    norm: { kind: "rms", eps: optionalNumber(config, "rms_norm_eps") ?? 1e-6 },
    positions,
    activation: variant.activation ?? activationField(config, "hidden_act", "silu"),
    names: {
      basePrefix: "model.",
      embedding: "model.embed_tokens",
      layers: "model.layers",
      finalNorm: "model.norm",
      head: "lm_head",
    },
    attentionNorm: { before: "input_layernorm" },
    attention: {
      q: module("self_attn.q_proj", heads * headDim, hiddenSize, variant.qkvBias),
      k: module("self_attn.k_proj", kvHeads * headDim, hiddenSize, variant.qkvBias),
      v: module("self_attn.v_proj", kvHeads * headDim, hiddenSize, variant.qkvBias),
      ...(variant.headNorms && { qNorm: "self_attn.q_norm", kNorm: "self_attn.k_norm" }),
    },
    attentionOutput: module("self_attn.o_proj", hiddenSize, heads * headDim, variant.outputBias),
    scores: { windows: variant.windows },
    mlpNorm: { before: "post_attention_layernorm" },
    mlp: {
      gate: module("mlp.gate_proj", inner, hiddenSize, variant.mlpBias),
      up: module("mlp.up_proj", inner, hiddenSize, variant.mlpBias),
      down: module("mlp.down_proj", hiddenSize, inner, variant.mlpBias),
    },
  };
}

/** The row of the embeddings that transformers gives no gradient; -1 is the last one. */
function paddingRow(config: HfConfig): number | undefined {
  const id = optionalInt(config, "pad_token_id");
  return id === -1 ? requireInt(config, "vocab_size") - 1 : id;
}
