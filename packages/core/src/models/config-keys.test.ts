/** What is said of the keys of a config.json: nothing of those that published models have, one line of each that nobody acts on. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { goldenDir, hasGoldens, sharedDir } from "../testing/goldens.js";
import { decoderOptions } from "./decoder-options.js";
import { families } from "./families.js";

type Values = Readonly<Record<string, unknown>>;

function said(values: Values): string[] {
  const lines: string[] = [];
  decoderOptions({ path: "m/config.json", modelType: String(values["model_type"]), values }, (line) =>
    lines.push(line),
  );
  return lines;
}

const tokens = { bos_token_id: 1, eos_token_id: 2 };
const saved = { initializer_range: 0.02, torch_dtype: "bfloat16", transformers_version: "4.40.0", use_cache: true };

const llama = {
  ...{ ...tokens, ...saved, model_type: "llama", architectures: ["LlamaForCausalLM"], _name_or_path: "x" },
  ...{ attention_bias: false, attention_dropout: 0.0, mlp_bias: false, hidden_act: "silu", rms_norm_eps: 1e-5 },
  ...{ hidden_size: 4096, intermediate_size: 11008, num_attention_heads: 32, num_hidden_layers: 32 },
  ...{ num_key_value_heads: 32, max_position_embeddings: 4096, pretraining_tp: 1, vocab_size: 32000 },
  ...{ rope_scaling: null, rope_theta: 10000.0, tie_word_embeddings: false },
};
const qwen = {
  ...{ ...tokens, ...saved, model_type: "qwen2", architectures: ["Qwen2ForCausalLM"], attention_dropout: 0.0 },
  ...{ hidden_act: "silu", hidden_size: 896, intermediate_size: 4864, max_position_embeddings: 32768 },
  ...{ max_window_layers: 21, num_attention_heads: 14, num_hidden_layers: 24, num_key_value_heads: 2 },
  ...{ rms_norm_eps: 1e-6, rope_theta: 1000000.0, sliding_window: 32768, tie_word_embeddings: true },
  ...{ use_sliding_window: false, vocab_size: 151936 },
};
const gpt2 = {
  ...{ model_type: "gpt2", architectures: ["GPT2LMHeadModel"], activation_function: "gelu_new", attn_pdrop: 0.1 },
  ...{ bos_token_id: 50256, eos_token_id: 50256, embd_pdrop: 0.1, initializer_range: 0.02, vocab_size: 50257 },
  ...{ layer_norm_epsilon: 1e-5, n_ctx: 1024, n_embd: 768, n_head: 12, n_layer: 12, n_positions: 1024 },
  ...{ resid_pdrop: 0.1, summary_activation: null, summary_first_dropout: 0.1, summary_proj_to_labels: true },
  ...{ summary_type: "cls_index", summary_use_proj: true },
  task_specific_params: { "text-generation": { do_sample: true, max_length: 50 } },
};

/** As they are published, from memory. */
const PUBLISHED: Readonly<Record<string, Values>> = {
  "bloomz-560m": {
    ...{ ...tokens, model_type: "bloom", architectures: ["BloomForCausalLM"], attention_dropout: 0.0 },
    ...{ apply_residual_connection_post_layernorm: false, attention_softmax_in_fp32: true, hidden_dropout: 0.0 },
    ...{ bias_dropout_fusion: true, initializer_range: 0.02, layer_norm_epsilon: 1e-5, masked_softmax_fusion: true },
    ...{ n_embed: 1024, n_inner: null, n_layer: 24, num_attention_heads: 16, offset_alibi: 100, pad_token_id: 3 },
    ...{ pretraining_tp: 1, seq_length: 2048, skip_bias_add: true, skip_bias_add_qkv: false, slow_but_exact: false },
    ...{ transformers_version: "4.20.0", unk_token_id: 0, use_cache: true, vocab_size: 250880 },
  },
  "llama-7b": { ...llama, max_sequence_length: 2048, pad_token_id: -1, num_key_value_heads: undefined },
  "Llama-2-7b-chat": { ...llama, max_length: 4096, pad_token_id: 0 },
  "Meta-Llama-3-8B": { ...llama, bos_token_id: 128000, eos_token_id: 128001, rope_theta: 500000.0, vocab_size: 128256 },
  "Llama-3.2-1B-Instruct": {
    ...{ ...llama, head_dim: 64, hidden_size: 2048, tie_word_embeddings: true, eos_token_id: [128001, 128008] },
    ...{ max_position_embeddings: 131072, unsloth_fixed: true, unsloth_version: "2024.9" },
    rope_scaling: {
      ...{ factor: 32.0, high_freq_factor: 4.0, low_freq_factor: 1.0, rope_type: "llama3" },
      original_max_position_embeddings: 8192,
    },
  },
  "SmolLM2-135M": {
    ...{ ...llama, hidden_size: 576, num_attention_heads: 9, num_key_value_heads: 3, is_llama_config: true },
    ...{ rope_interleaved: false, "transformers.js_config": { dtype: "q4", kv_cache_dtype: { q4f16: "float16" } } },
  },
  "TinyLlama-1.1B": { ...llama, hidden_size: 2048, num_key_value_heads: 4, num_hidden_layers: 22 },
  "Qwen2-0.5B": qwen,
  "Qwen2.5-0.5B-Instruct": { ...qwen, use_mrope: false },
  "Qwen3-0.6B": {
    ...{ ...qwen, model_type: "qwen3", architectures: ["Qwen3ForCausalLM"], attention_bias: false, head_dim: 128 },
    ...{ num_attention_heads: 16, num_key_value_heads: 8, rope_scaling: null, sliding_window: null },
  },
  "Mistral-7B-v0.1": {
    ...{ ...tokens, ...saved, model_type: "mistral", architectures: ["MistralForCausalLM"], hidden_act: "silu" },
    ...{ hidden_size: 4096, intermediate_size: 14336, max_position_embeddings: 32768, num_attention_heads: 32 },
    ...{ num_hidden_layers: 32, num_key_value_heads: 8, rms_norm_eps: 1e-5, rope_theta: 10000.0 },
    ...{ sliding_window: 4096, tie_word_embeddings: false, vocab_size: 32000, attention_dropout: 0.0 },
  },
  "gemma-2-2b-it": {
    ...{ ...tokens, ...saved, model_type: "gemma2", architectures: ["Gemma2ForCausalLM"], pad_token_id: 0 },
    ...{ attention_bias: false, attention_dropout: 0.0, attn_logit_softcapping: 50.0, cache_implementation: "hybrid" },
    ...{ final_logit_softcapping: 30.0, head_dim: 256, hidden_act: "gelu_pytorch_tanh", hidden_size: 2304 },
    ...{ hidden_activation: "gelu_pytorch_tanh", intermediate_size: 9216, max_position_embeddings: 8192 },
    ...{ num_attention_heads: 8, num_hidden_layers: 26, num_key_value_heads: 4, query_pre_attn_scalar: 256 },
    ...{ rms_norm_eps: 1e-6, rope_theta: 10000.0, sliding_window: 4096, vocab_size: 256000 },
  },
  gpt2,
  distilgpt2: {
    ...{ ...gpt2, _num_labels: 1, id2label: { 0: "LABEL_0" }, label2id: { LABEL_0: 0 }, n_layer: 6 },
  },
  // What releases of transformers before 4.22 wrote into every config.json.
  "a gpt2 saved long ago": {
    ...{ ...gpt2, add_cross_attention: false, bad_words_ids: null, chunk_size_feed_forward: 0, do_sample: false },
    ...{ diversity_penalty: 0.0, early_stopping: false, encoder_no_repeat_ngram_size: 0, finetuning_task: null },
    ...{ is_decoder: false, is_encoder_decoder: false, length_penalty: 1.0, max_length: 20, min_length: 0 },
    ...{ no_repeat_ngram_size: 0, num_beam_groups: 1, num_beams: 1, num_return_sequences: 1, output_past: true },
    ...{ output_attentions: false, output_scores: false, prefix: null, problem_type: null, pruned_heads: {} },
    ...{ remove_invalid_values: false, repetition_penalty: 1.0, return_dict: true, temperature: 1.0, top_k: 50 },
    ...{ return_dict_in_generate: false, sep_token_id: null, tie_encoder_decoder: false, tokenizer_class: null },
    ...{ tie_word_embeddings: true, top_p: 1.0, torchscript: false, typical_p: 1.0, use_bfloat16: false },
    ...{ gradient_checkpointing: false, n_inner: null, scale_attn_weights: true, reorder_and_upcast_attn: false },
    ...{ scale_attn_by_inverse_layer_idx: false, predict_special_tokens: true },
  },
};

const known = new Set(families.map(({ modelType }) => modelType));
/** Folders of models below a folder. */
function modelsIn(dir: string): string[] {
  if (!existsSync(dir)) return [];
  const inside = readdirSync(dir).map((name) => join(dir, name));
  return inside.filter((path) => statSync(path).isDirectory() && existsSync(join(path, "config.json")));
}

describe("the keys of a config.json", () => {
  it("of every family are in a published one here", () => {
    expect(new Set(Object.values(PUBLISHED).map((values) => values["model_type"]))).toEqual(known);
  });

  it.each(Object.entries(PUBLISHED))("of %s are all known", (_, values) => {
    expect(said(values)).toEqual([]);
  });

  it.skipIf(!hasGoldens)("of every reference model are all known", () => {
    const folders = [...modelsIn(goldenDir("A_models")), ...modelsIn(join(sharedDir, "models"))];
    const read = folders.filter((dir) => {
      const values = JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Values;
      if (!known.has(String(values["model_type"]))) return false;
      expect(said(values), dir).toEqual([]);
      return true;
    });
    expect(read.length).toBeGreaterThan(0);
  });

  it.each([
    ["llama", { residual_multiplier: 0.22 }, '"residual_multiplier" is 0.22'],
    ["llama", { rope_interleaved: true }, '"rope_interleaved" is true'],
    ["llama", { sliding_window: 512 }, '"sliding_window" is 512'],
    [
      "llama",
      { auto_map: { AutoModelForCausalLM: "modeling.M" } },
      '"auto_map" is {"AutoModelForCausalLM":"modeling.M"}',
    ],
    ["gpt2", { temperature: 0.7 }, '"temperature" is 0.7'],
    ["gpt2", { rope_theta: 1e4 }, '"rope_theta" is 10000'],
    ["bloom", { n_inner: 5 }, '"n_inner" is 5'],
  ])("of %s are named where nobody acts on them: %j", (family, change, what) => {
    const values = Object.values(PUBLISHED).find(({ model_type }) => model_type === family);
    expect(said({ ...values, ...change })).toEqual([
      `m/config.json: ${what}, which is not known here and not acted on`,
    ]);
  });

  it.each([
    [{ is_causal: false }, "is_causal false is not supported: attention is causal"],
    [{ pruned_heads: { 0: [1] } }, 'pruned_heads {"0":[1]} is not supported: all heads are kept'],
    [{ per_layer_config: { 1: { head_dim: 4 } } }, "per_layer_config {"],
  ])("are refused where they change what is computed: %j", (change, message) => {
    expect(() => said({ ...llama, ...change })).toThrow(`m/config.json: ${message}`);
  });
});
