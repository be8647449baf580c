/** The keys of config.json: those that all families read or leave alone alike. What a family has of its own is in its file. */
import type { HfConfig } from "../checkpoint/hf-config.js";
import { checkKeys, type KeyTable, type RefusedKey, type Warn } from "../json/known-keys.js";
import type { Family } from "./family.js";

const oneMlp: RefusedKey = { idle: [0], why: "layers have one MLP" };
const decoders: RefusedKey = { idle: [], why: "models are decoders" };

// prettier-ignore
const COMMON: KeyTable = {
  acted: [
    "architectures", "dtype", "initializer_range", "model_type", "pad_token_id", "tie_word_embeddings", "torch_dtype", "vocab_size",
  ],
  inert: [
    // Who wrote it, with what, and how it is loaded and run.
    "_attn_implementation", "_attn_implementation_autoset", "_commit_hash", "_from_model_config", "_model_name_or_path",
    "_name_or_path", "attn_implementation", "cache_implementation", "chunk_size_feed_forward", "gradient_checkpointing",
    "is_decoder", "is_llama_config", "output_attentions", "output_hidden_states", "output_past", "return_dict",
    "torchscript", "transformers.js_config", "transformers_version", "unsloth_fixed", "unsloth_version", "use_bfloat16",
    "use_cache",
    // The tokenizer's business; positions end where max_position_embeddings says.
    "bos_token_id", "eos_token_id", "unk_token_id", "sep_token_id", "tokenizer_class",
    "max_sequence_length", "model_max_length", "seq_length",
    // Of classifiers and pipelines. The length of answers is a flag.
    "_num_labels", "classifier_dropout", "finetuning_task", "id2label", "label2id", "max_length", "num_labels",
    "problem_type", "task_specific_params",
  ],
  // Settings of generation that older releases wrote here, with the values that they wrote into every file.
  idle: {
    diversity_penalty: [0], encoder_no_repeat_ngram_size: [0], length_penalty: [1], min_length: [0],
    no_repeat_ngram_size: [0], num_beam_groups: [1], num_beams: [1], num_return_sequences: [1], repetition_penalty: [1],
    temperature: [1], top_k: [50], top_p: [1], typical_p: [1],
  },
  refused: {
    add_cross_attention: decoders,
    is_causal: { idle: (value) => value === true, why: "attention is causal" },
    is_encoder_decoder: decoders,
    n_routed_experts: oneMlp,
    num_experts: oneMlp,
    num_local_experts: oneMlp,
    partial_rotary_factor: { idle: [1], why: "whole heads are rotated" },
    per_layer_config: { idle: [], why: "all layers are alike" },
    pruned_heads: { idle: [], why: "all heads are kept" },
    quantization_config: { idle: [], why: "weights are read as float32, bfloat16 or float16 only" },
    use_bidirectional_attention: { idle: [], why: "attention is causal" },
  },
};

/**
 * Goes through the keys of a config.json.
 * @throws InputError naming a key that asks for something that the family does not do here
 */
export function checkConfigKeys({ values, path }: HfConfig, { keys, dropout }: Family, warn: Warn): void {
  const table = {
    acted: [...COMMON.acted, ...keys.acted, ...Object.keys(dropout)],
    inert: [...COMMON.inert, ...(keys.inert ?? [])],
    idle: COMMON.idle ?? {},
    refused: { ...COMMON.refused, ...keys.refused },
  };
  checkKeys(values, table, path, warn);
}
