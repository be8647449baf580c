/** The keys of adapter_config.json: what PEFT writes for a plain LoRA adapter, and what is done about every key. */
import type { KeyTable, RefusedKey } from "../json/known-keys.js";

/** What PEFT 0.21 writes of keys that nothing here acts on. */
export const UNUSED = {
  alora_invocation_tokens: null,
  arrow_config: null,
  auto_mapping: null,
  bias: "none",
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: "megatron.core",
  monteclora_config: null,
  qalora_group_size: 16,
  revision: null,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  velora_config: null,
} as const;

/** Ways to start an adapter, in lower case, by which PEFT leaves the base's weights alone. The file's own factors replace what they start with. */
const HARMLESS_STARTS: readonly unknown[] = [true, false, "gaussian", "eva", "orthogonal", "mica"];

const IN_PYTHON = "merge it in Python with PEFT's merge_and_unload() and use the merged model";

/** A kind of adapter that is not computed here. */
const otherKind = (...idle: readonly unknown[]): RefusedKey => ({
  idle,
  why: `only plain LoRA adapters are read; ${IN_PYTHON}`,
});

/**
 * The settings of an initialisation (corda_config and the like) have no effect without the `init_lora_weights` that they
 * belong to, and fan_in_fan_out is as the base stores its weights, whatever the file says; both as in PEFT.
 */
// prettier-ignore
export const ADAPTER_KEYS: KeyTable = {
  acted: [
    "alpha_pattern", "ensure_weight_tying", "exclude_modules", "layers_pattern", "layers_to_transform", "lora_alpha",
    "lora_dropout", "modules_to_save", "peft_type", "r", "rank_pattern", "target_modules", "task_type", "use_rslora",
  ],
  inert: [
    "auto_mapping", "base_model_class", "base_model_name_or_path", "corda_config", "eva_config", "fan_in_fan_out",
    "inference_mode", "loftq_config", "lora_ga_config", "megatron_core", "parent_library", "peft_version",
    "qalora_group_size", "revision", "runtime_config",
    // ms-swift's: how it was trained.
    "lora_dtype", "lorap_emb_lr", "lorap_lr_ratio",
  ],
  refused: {
    init_lora_weights: {
      idle: (value) => HARMLESS_STARTS.includes(typeof value === "string" ? value.toLowerCase() : value),
      why:
        "with it PEFT changes the base's weights before it adds the adapter (or it is not known here whether), so base + adapter " +
        "would not be what was trained; save the adapter again in Python with save_pretrained(folder, " +
        `path_initial_model_for_weight_conversion=...), or ${IN_PYTHON}`,
    },
    alora_invocation_tokens: otherKind(),
    arrow_config: otherKind(),
    bias: otherKind("none"),
    kasa_config: otherKind(),
    layer_replication: otherKind(),
    lora_bias: otherKind(),
    megatron_config: otherKind(),
    monteclora_config: otherKind(),
    target_parameters: otherKind(),
    trainable_token_indices: otherKind(),
    use_bdlora: otherKind(),
    use_dora: otherKind(),
    use_qalora: otherKind(),
    velora_config: otherKind(),
  },
};
