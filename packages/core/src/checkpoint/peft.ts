/** Adapter folders as PEFT reads and writes them: adapter_config.json and adapter_model.safetensors. */
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import type { LoraConfig } from "../nn/lora.js";
import { readJsonObject } from "./read-json-object.js";
import { openSafetensors, writeSafetensors, type TensorInfo, type TensorToWrite } from "./safetensors.js";

/** The PEFT release whose files these are. */
const PEFT_VERSION = "0.21.2";

/** Every key PEFT writes for a plain LoRA, with the values that mean "not used". */
const UNUSED = {
  alora_invocation_tokens: null,
  alpha_pattern: {},
  arrow_config: null,
  auto_mapping: null,
  bias: "none",
  corda_config: null,
  ensure_weight_tying: false,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  init_lora_weights: true,
  kasa_config: null,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_bias: false,
  lora_ga_config: null,
  megatron_config: null,
  megatron_core: "megatron.core",
  monteclora_config: null,
  qalora_group_size: 16,
  rank_pattern: {},
  revision: null,
  target_parameters: null,
  trainable_token_indices: null,
  use_bdlora: null,
  use_dora: false,
  use_qalora: false,
  velora_config: null,
} as const;

/** Keys whose value changes nothing in what an adapter computes. */
const INERT = new Set([
  "megatron_core",
  "qalora_group_size",
  "revision",
  "auto_mapping",
  "init_lora_weights",
  "loftq_config",
  "ensure_weight_tying",
]);

const KEY_PREFIX = "base_model.model.";

export interface Adapter {
  readonly config: LoraConfig;
  /** Weights by module: `lora_A` and `lora_B` of each targeted module. */
  readonly factors: ReadonlyMap<string, { readonly a: TensorInfo; readonly b: TensorInfo }>;
  /** Weights that replace the base's, by full parameter name (modules_to_save). */
  readonly saved: ReadonlyMap<string, TensorInfo>;
}

/** @throws InputError for a missing or malformed file and for adapter kinds that are not supported, by key */
export async function openAdapter(dir: string): Promise<Adapter> {
  const place = join(dir, "adapter_config.json");
  const raw = await readJsonObject(place);
  if (raw === undefined)
    throw new InputError("expected an adapter folder, but it has no adapter_config.json", { place: dir });
  if (raw.peft_type !== "LORA")
    throw new InputError(`expected peft_type "LORA", got ${JSON.stringify(raw.peft_type)}`, { place });
  for (const [key, unused] of Object.entries(UNUSED)) {
    const value = raw[key];
    const empty =
      value === undefined ||
      value === null ||
      value === false ||
      (typeof value === "object" && Object.keys(value).length === 0);
    if (!INERT.has(key) && !empty && value !== unused)
      throw new InputError(`${key} = ${JSON.stringify(value)} is not supported; only plain LoRA adapters are`, {
        place,
      });
  }
  const number = (key: string, fallback?: number): number => {
    const value = raw[key] ?? fallback;
    if (typeof value !== "number")
      throw new InputError(`expected a number at "${key}", got ${JSON.stringify(raw[key])}`, { place });
    return value;
  };
  const targets = raw.target_modules;
  if (typeof targets !== "string" && !isStrings(targets))
    throw new InputError(`expected "target_modules" to be names or a pattern, got ${JSON.stringify(targets)}`, {
      place,
    });
  const modulesToSave = raw.modules_to_save ?? [];
  if (!isStrings(modulesToSave))
    throw new InputError(`expected "modules_to_save" to be names, got ${JSON.stringify(modulesToSave)}`, { place });
  const config: LoraConfig = {
    r: number("r"),
    lora_alpha: number("lora_alpha"),
    lora_dropout: number("lora_dropout", 0),
    target_modules: targets,
    use_rslora: raw.use_rslora === true,
    modules_to_save: modulesToSave,
  };

  const file = join(dir, "adapter_model.safetensors");
  const factors = new Map<string, { a?: TensorInfo; b?: TensorInfo }>();
  const saved = new Map<string, TensorInfo>();
  for (const [key, info] of (await openSafetensors(file)).tensors) {
    if (!key.startsWith(KEY_PREFIX))
      throw new InputError(`expected names to start with "${KEY_PREFIX}", got "${key}"`, { place: file });
    const name = key.slice(KEY_PREFIX.length);
    const [, module, side] = /^(.*)\.lora_([AB])\.weight$/.exec(name) ?? [];
    if (module === undefined) saved.set(name, info);
    else factors.set(module, { ...factors.get(module), [side === "A" ? "a" : "b"]: info });
  }
  const complete = new Map<string, { a: TensorInfo; b: TensorInfo }>();
  for (const [module, { a, b }] of factors) {
    if (a === undefined || b === undefined)
      throw new InputError(`${module} has only one of lora_A and lora_B`, { place: file });
    complete.set(module, { a, b });
  }
  return { config, factors: complete, saved };
}

/** Every tensor of an adapter by the name of the parameter it is the value of. */
export function adapterTensors({ factors, saved }: Adapter): Map<string, TensorInfo> {
  const tensors = new Map(saved);
  for (const [module, { a, b }] of factors) tensors.set(`${module}.lora_A.weight`, a).set(`${module}.lora_B.weight`, b);
  return tensors;
}

/**
 * Writes an adapter folder's two files, each atomically.
 * @param tensors by live name without ".default": `<module>.lora_A.weight` (rank, in), `<module>.lora_B.weight` (out,
 * rank), and full parameter names of saved modules; f32
 * @param base what `base_model_name_or_path` says
 */
export async function writeAdapter(
  dir: string,
  config: LoraConfig,
  base: string,
  tensors: readonly TensorToWrite[],
): Promise<void> {
  const entries = tensors.map((entry) => ({ ...entry, name: KEY_PREFIX + entry.name }));
  await writeSafetensors(join(dir, "adapter_model.safetensors"), entries, { format: "pt" });
  const targets = typeof config.target_modules === "string" ? config.target_modules : [...config.target_modules].sort();
  const content = {
    ...UNUSED,
    base_model_name_or_path: base,
    inference_mode: true,
    lora_alpha: config.lora_alpha,
    lora_dropout: config.lora_dropout,
    modules_to_save: config.modules_to_save.length === 0 ? null : config.modules_to_save,
    peft_type: "LORA",
    peft_version: PEFT_VERSION,
    r: config.r,
    target_modules: targets,
    task_type: "CAUSAL_LM",
    use_rslora: config.use_rslora,
  };
  const sorted = Object.fromEntries(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFileAtomic(join(dir, "adapter_config.json"), JSON.stringify(sorted, undefined, 2) + "\n");
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
