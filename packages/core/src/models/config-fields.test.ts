/** What a family reads of config.json, and that it refuses by name what it would have to ignore. */
import { InputError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import type { DecoderOptions } from "../nn/decoder.js";
import { decoderOptions } from "./decoder-options.js";
import { families } from "./families.js";

const gated = {
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 64,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 8,
  max_position_embeddings: 64,
};
const gpt = { vocab_size: 100, n_embd: 32, n_layer: 4, n_head: 4 };
const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  bloom: { vocab_size: 100, hidden_size: 32, n_layer: 4, n_head: 4 },
  gemma2: gated,
  gpt2: { ...gpt, n_positions: 64 },
  llama: gated,
  mistral: gated,
  qwen2: gated,
  qwen3: gated,
};

function options(modelType: string, values: Record<string, unknown> = {}): DecoderOptions {
  return decoderOptions({ path: "m/config.json", modelType, values: { ...CONFIGS[modelType], ...values } });
}

const WINDOWED = ["full_attention", "sliding_attention", "full_attention", "sliding_attention"];

/** Family, fields, and the message after the file's name. */
const REFUSED: readonly [string, Record<string, unknown>, string][] = [
  ...Object.keys(CONFIGS).flatMap((family): [string, Record<string, unknown>, string][] => [
    [family, { quantization_config: { bits: 4 } }, 'quantization_config {"bits":4} is not supported: weights are'],
    [family, { add_cross_attention: true }, "add_cross_attention true is not supported"],
    [family, { is_encoder_decoder: true }, "is_encoder_decoder true is not supported"],
  ]),
  ["llama", { partial_rotary_factor: 0.5 }, "partial_rotary_factor 0.5 is not supported: whole heads are rotated"],
  ["llama", { rope_scaling: { type: "longrope", factor: 2 } }, 'rope_scaling.rope_type "longrope" is not supported'],
  ["llama", { num_local_experts: 8 }, "num_local_experts 8 is not supported: layers have one MLP"],
  ["qwen3", { num_experts: 64 }, "num_experts 64 is not supported"],
  ["llama", { n_routed_experts: 4 }, "n_routed_experts 4 is not supported"],
  ["llama", { hidden_act: "mish" }, 'hidden_act "mish" is not supported: expected silu, swish, gelu'],
  ["llama", { hidden_act: 3 }, "expected hidden_act to be a string, got 3"],
  ["llama", { head_dim: 7 }, "heads of 7 elements cannot be rotated"],
  ["llama", { head_dim: 0 }, "expected head_dim to be a positive integer, got 0"],
  ["llama", { head_dim: null, hidden_size: 30 }, "hidden_size 30 is not a multiple of num_attention_heads 4"],
  ["llama", { num_key_value_heads: 3 }, "num_attention_heads 4 is not a multiple of num_key_value_heads 3"],
  ["llama", { max_position_embeddings: "64" }, 'expected max_position_embeddings to be a positive integer, got "64"'],
  ["qwen2", { use_sliding_window: true, sliding_window: 0 }, "expected sliding_window to be a positive integer, got 0"],
  ["qwen2", { use_sliding_window: 1 }, "expected use_sliding_window to be true or false, got 1"],
  ["qwen2", { layer_types: WINDOWED }, "expected a sliding_window for layers of sliding_attention, but none is in use"],
  [
    "qwen3",
    { layer_types: ["chunked_attention"] },
    'layer_types ["chunked_attention"] is not supported: expected full_',
  ],
  [
    "qwen3",
    { layer_types: "full_attention" },
    'layer_types "full_attention" is not supported: expected full_attention',
  ],
  ["mistral", { sliding_window: 8, layer_types: WINDOWED }, "layer_types "],
  ["mistral", { sliding_window: null, layer_types: WINDOWED }, "expected a sliding_window for layers of sliding"],
  ["gemma2", { sliding_window: null }, "expected a sliding_window for layers of sliding_attention"],
  ["gemma2", { use_bidirectional_attention: true }, "use_bidirectional_attention true is not supported"],
  ["gemma2", { final_logit_softcapping: 0 }, "final_logit_softcapping 0 is not supported: expected a number above 0"],
  ["gemma2", { attn_logit_softcapping: "5" }, 'expected attn_logit_softcapping to be a number, got "5"'],
  ["gemma2", { query_pre_attn_scalar: 0 }, "query_pre_attn_scalar 0 is not supported: expected a number above 0"],
  ["gemma2", { hidden_activation: "tanh" }, 'hidden_activation "tanh" is not supported'],
  ["gpt2", { activation_function: "tanh" }, 'activation_function "tanh" is not supported'],
  ["gpt2", { scale_attn_by_inverse_layer_idx: true }, "scale_attn_by_inverse_layer_idx true is not supported"],
  ["gpt2", { n_head: 5 }, "n_embd 32 is not a multiple of n_head 5"],
  ["gpt2", { n_positions: null }, "expected n_positions or max_position_embeddings to be a positive integer"],
  ["bloom", { apply_residual_connection_post_layernorm: true }, "apply_residual_connection_post_layernorm true is not"],
  ["bloom", { slow_but_exact: true, pretraining_tp: 2 }, "slow_but_exact true is not supported: with pretraining_tp"],
  ["bloom", { n_head: 5 }, "hidden_size 32 is not a multiple of n_head 5"],
  ["t5", {}, 'model_type "t5" is not supported; supported are bloom, gemma2, gpt2, llama, mistral, qwen2, qwen3'],
];

describe("a config.json", () => {
  it("of every family is read here", () => {
    expect(Object.keys(CONFIGS)).toEqual(families.map(({ modelType }) => modelType));
    for (const family of Object.keys(CONFIGS)) expect(options(family).layers).toBe(4);
  });

  it.each(REFUSED)("of %s with %j is refused by name", (family, values, message) => {
    let failure: unknown;
    try {
      options(family, values);
    } catch (error) {
      failure = error;
    }
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message.slice(0, "m/config.json: ".length + message.length)).toBe(
      `m/config.json: ${message}`,
    );
    expect((failure as Error).message).not.toContain("\n");
  });

  it.each([
    ["bloom", { pretraining_tp: 4, slow_but_exact: false }],
    ["bloom", { pretraining_tp: 1, slow_but_exact: true }],
    ["llama", { pretraining_tp: 2, quantization_config: null, partial_rotary_factor: 1, num_experts: null }],
    ["gpt2", { reorder_and_upcast_attn: true, add_cross_attention: false }],
    ["gemma2", { use_bidirectional_attention: null, cache_implementation: "hybrid" }],
  ])("of %s may have %j, which changes nothing but rounding", (family, values) => {
    const { positions, ...rest } = options(family, values);
    const { positions: same, ...plain } = options(family);
    expect(rest).toEqual(plain);
    expect(positions.kind).toBe(same.kind);
  });
});

describe("windows", () => {
  it.each([
    ["mistral", { sliding_window: 8 }, [8, 8, 8, 8]],
    ["mistral", {}, [4096, 4096, 4096, 4096]],
    ["mistral", { sliding_window: null }, undefined],
    ["mistral", { sliding_window: null, layer_types: Array(4).fill("full_attention") }, undefined],
    ["qwen2", { sliding_window: 8 }, undefined],
    ["qwen2", { use_sliding_window: true, sliding_window: 8, max_window_layers: 3 }, [0, 0, 0, 8]],
    ["qwen2", { use_sliding_window: true, sliding_window: 8 }, undefined],
    ["qwen2", { use_sliding_window: true, sliding_window: 8, layer_types: WINDOWED }, [0, 8, 0, 8]],
    ["qwen3", { use_sliding_window: true, max_window_layers: 1 }, [0, 4096, 4096, 4096]],
    ["qwen3", { layer_types: Array(4).fill("full_attention") }, undefined],
    ["gemma2", { sliding_window: 8 }, [8, 0, 8, 0]],
    ["gemma2", { sliding_window: 8, layer_types: WINDOWED }, [0, 8, 0, 8]],
  ])("of %s with %j", (family, values, windows) => {
    expect(options(family, values).scores?.windows).toEqual(windows);
  });
});

it("dynamic positions depend on the batch alone", () => {
  const { positions } = options("llama", {
    max_position_embeddings: 8,
    rope_scaling: { type: "dynamic", factor: 2 },
  });
  if (positions.kind !== "rope") throw new Error("llama has rotary positions");
  const before = positions.frequencies(20);
  expect(positions.frequencies(40)).not.toEqual(before);
  expect(positions.frequencies(20)).toEqual(before);
});

describe("the longest sequence", () => {
  it.each([
    ["bloom", {}, undefined],
    ["gpt2", {}, 64],
    ["llama", {}, 64],
    ["llama", { rope_scaling: { type: "linear", factor: 2 } }, 128],
    ["llama", { rope_scaling: { type: "dynamic", factor: 2 } }, undefined],
    ["qwen2", { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 64 } }, 256],
    ["qwen2", { rope_scaling: { type: "yarn", factor: 4, original_max_position_embeddings: 16 } }, 64],
  ])("that %s with %j takes", (family, values, longest) => {
    expect(options(family, values).maxPositions).toBe(longest);
  });
});
