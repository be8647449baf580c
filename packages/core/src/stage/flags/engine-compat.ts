import { z } from "zod";
import { accepted, refused, topic } from "../../config/schema.js";

const ON_CPU = "the model runs on the CPU";
const NOTHING_PUSHED = "nothing is pushed to a hub";
const TRACKERS = "runs are tracked in TensorBoard files only";

/** True of every stage: what this engine never does, or always does. */
export const engineCompat = {
  ...topic("Model", {
    use_fast_tokenizer: accepted(z.boolean(), { default: false, because: "every tokenizer here is a fast one" }),
    trust_remote_code: accepted(z.boolean(), { default: true, because: "no code of a model folder is ever run" }),
    device_map: accepted(z.string().nullable(), { default: "auto", because: "--backend chooses where the model runs" }),
    load_in_8bit: refused(z.boolean(), { default: false, why: "weights are not quantised; leave it out" }),
    load_in_4bit: refused(z.boolean(), { default: false, why: "weights are not quantised; leave it out" }),
  }),
  ...topic("LoRA", {
    qlora: refused(z.boolean(), {
      default: false,
      why: "weights are not quantised; LoRA without --qlora needs no GPU",
    }),
  }),
  ...topic("Training", {
    full_determinism: accepted(z.boolean(), { default: false, because: "the same seed always gives the same result" }),
  }),
  ...topic("Optimizer", {
    optim_args: refused(z.string().nullable(), { default: null, why: "AdamW takes its settings from --adam_* flags" }),
    optim_target_modules: refused(z.array(z.string()).nullable(), { default: null, why: "only AdamW is available" }),
  }),
  ...topic("Precision and memory", {
    gradient_checkpointing_kwargs: accepted(z.record(z.string(), z.unknown()).nullable(), {
      default: null,
      alias: ["activation_checkpointing_kwargs"],
      because: "there is one way of recomputing",
    }),
    tf32: accepted(z.boolean().nullable(), { default: null, because: ON_CPU }),
    half_precision_backend: accepted(z.string().nullable(), { default: "auto", because: ON_CPU }),
    torch_compile: accepted(z.boolean(), { default: false, because: "the kernels are compiled already" }),
    torch_compile_backend: accepted(z.string().nullable(), {
      default: null,
      because: "the kernels are compiled already",
    }),
    torch_compile_mode: accepted(z.string().nullable(), { default: null, because: "the kernels are compiled already" }),
    use_liger_kernel: accepted(z.boolean(), { default: false, because: "the kernels are fused already" }),
    torch_empty_cache_steps: accepted(z.int().nullable(), { default: null, because: ON_CPU }),
    skip_memory_metrics: accepted(z.boolean(), { default: true, because: "memory is reported with every step" }),
  }),
  ...topic("Logging", {
    run_name: accepted(z.string().nullable(), { default: null, because: TRACKERS }),
    project: accepted(z.string().nullable(), { default: null, because: TRACKERS }),
    log_level: accepted(z.string(), { default: "passive", because: "there is one level of messages" }),
    disable_tqdm: accepted(z.boolean().nullable(), {
      default: null,
      because: "the progress bar shows on a terminal only and is gone at the end",
    }),
    include_num_input_tokens_seen: accepted(z.string(), {
      default: "no",
      because: "tokens per second are always shown",
    }),
    debug: accepted(z.string().nullable(), { default: null, because: "the checks it asks for are those of PyTorch" }),
  }),
  ...topic("Saving", {
    enable_jit_checkpoint: accepted(z.boolean(), {
      default: false,
      because: "Ctrl-C and SIGTERM always save a checkpoint",
    }),
    restore_callback_states_from_checkpoint: accepted(z.boolean(), {
      default: false,
      because: "a resumed run always takes up its whole state",
    }),
    save_safetensors: refused(z.boolean(), {
      default: true,
      why: "weights are written as safetensors only; leave it out",
    }),
    push_to_hub: refused(z.boolean(), {
      default: false,
      why: `${NOTHING_PUSHED}; upload output_dir with the hub's own tools`,
    }),
    hub_token: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED, secret: true }),
    hub_model_id: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED }),
    hub_strategy: accepted(z.string(), { default: "every_save", because: NOTHING_PUSHED }),
    hub_private_repo: accepted(z.boolean().nullable(), { default: null, because: NOTHING_PUSHED }),
    hub_always_push: accepted(z.boolean(), { default: false, because: NOTHING_PUSHED }),
    hub_revision: accepted(z.string().nullable(), { default: null, because: NOTHING_PUSHED }),
  }),
  ...topic("Processes and devices", {
    use_cpu: accepted(z.boolean(), { default: false, alias: ["no_cuda"], because: ON_CPU }),
  }),
};
