/** Adapter folders as PEFT reads and writes them: adapter_config.json and adapter_model.safetensors. */
import { join } from "node:path";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import type { LoraConfig } from "./lora-config.js";
import { ADAPTER_KEYS, UNUSED } from "./adapter-keys.js";
import { KEY_PREFIX, plainNames } from "./adapter-names.js";
import { checkKeys, type Warn } from "../json/known-keys.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { openSafetensors, writeSafetensors, type TensorInfo, type TensorToWrite } from "./safetensors.js";

/** The PEFT release whose files these are. */
const PEFT_VERSION = "0.21.2";

/** What PEFT puts an adapter on: a causal language model, or a classifier that ends in a score. */
export type TaskType = "CAUSAL_LM" | "SEQ_CLS";

export interface AdapterFiles {
  readonly config: LoraConfig;
  readonly taskType: TaskType;
  /** Weights by module: `lora_A` and `lora_B` of each targeted module. */
  readonly factors: ReadonlyMap<string, { readonly a: TensorInfo; readonly b: TensorInfo }>;
  /** Every other tensor, by full parameter name: weights that replace the base's (modules_to_save). */
  readonly saved: ReadonlyMap<string, TensorInfo>;
  /** Whether a tied head is to stay tied to an embedding that was trained whole (ensure_weight_tying). */
  readonly keepsTies: boolean;
}

/**
 * Opens an adapter folder.
 * @param warn told of keys that are not known here
 * @throws InputError for a missing or malformed file and for adapter kinds that are not supported, by key
 */
export async function openAdapterFiles(dir: string, warn: Warn = () => {}): Promise<AdapterFiles> {
  const place = join(dir, "adapter_config.json");
  const raw = await readJsonObject(place);
  if (raw === undefined)
    throw new InputError("expected an adapter folder, but it has no adapter_config.json", { place: dir });
  if (raw.peft_type !== "LORA")
    throw new InputError(`expected peft_type "LORA", got ${JSON.stringify(raw.peft_type)}`, { place });
  checkKeys(raw, ADAPTER_KEYS, place, warn);
  // MiCA freezes lora_B; its weights are read and merged as any others.
  if (typeof raw.init_lora_weights === "string" && raw.init_lora_weights.toLowerCase() === "mica")
    warn(`${place}: init_lora_weights "mica": training this adapter on changes lora_B too, which PEFT would keep`);
  const wrong = (key: string, expected: string): InputError =>
    new InputError(`expected "${key}" to be ${expected}, got ${JSON.stringify(raw[key])}`, { place });
  /** The value of a key that is there and not null. */
  const given = <T>(key: string, expected: string, is: (value: unknown) => value is T): T | undefined => {
    const value = raw[key] ?? undefined;
    if (value !== undefined && !is(value)) throw wrong(key, expected);
    return value;
  };
  const number = (key: string, fallback?: number): number => {
    const value = given(key, "a number", isNumber) ?? fallback;
    if (value === undefined) throw wrong(key, "a number");
    return value;
  };
  const taskType = raw.task_type ?? "CAUSAL_LM";
  if (taskType !== "CAUSAL_LM" && taskType !== "SEQ_CLS")
    throw new InputError(`expected task_type "CAUSAL_LM" or "SEQ_CLS", got ${describeJson(taskType)}`, { place });
  const patterns = (key: string) => given(key, "an object of numbers", isNumbers) ?? {};
  const targets = given("target_modules", "names or a pattern", isNames);
  if (targets === undefined || targets.length === 0) throw wrong("target_modules", "names or a pattern");
  const excluded = given("exclude_modules", "names or a pattern", isNames);
  const layers = given("layers_to_transform", "whole numbers", isLayers);
  const lists = given("layers_pattern", "names", isNames);
  if (typeof targets === "string" && layers !== undefined)
    throw new InputError('"layers_to_transform" needs "target_modules" to be a list of names', { place });
  const config: LoraConfig = {
    r: number("r"),
    lora_alpha: number("lora_alpha"),
    lora_dropout: number("lora_dropout", 0),
    target_modules: targets,
    use_rslora: given("use_rslora", "true or false", isBoolean) ?? false,
    modules_to_save: given("modules_to_save", "names", isStrings) ?? [],
    rank_pattern: patterns("rank_pattern"),
    alpha_pattern: patterns("alpha_pattern"),
    ...(excluded !== undefined && { exclude_modules: excluded }),
    ...(layers !== undefined && { layers_to_transform: [layers].flat() }),
    ...(lists !== undefined && { layers_pattern: [lists].flat() }),
  };

  const file = join(dir, "adapter_model.safetensors");
  const factors = new Map<string, { a?: TensorInfo; b?: TensorInfo }>();
  const saved = new Map<string, TensorInfo>();
  for (const [name, info] of plainNames((await openSafetensors(file)).tensors, file)) {
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
  const keepsTies = given("ensure_weight_tying", "true or false", isBoolean) ?? false;
  return { config, taskType, factors: complete, saved, keepsTies };
}

/** Every tensor of an adapter by the name of the parameter it is the value of. */
export function adapterTensors({ factors, saved }: AdapterFiles): Map<string, TensorInfo> {
  const tensors = new Map(saved);
  for (const [module, { a, b }] of factors) tensors.set(`${module}.lora_A.weight`, a).set(`${module}.lora_B.weight`, b);
  return tensors;
}

/** What adapter_config.json says of the model that the adapter is on. */
export interface AdapterBaseInfo {
  /** base_model_name_or_path */
  readonly base: string;
  readonly taskType: TaskType;
  /** Whether the base stores the adapted weights (in, out). */
  readonly fanInFanOut: boolean;
}

/**
 * Writes an adapter folder's two files, each atomically.
 * @param tensors by live name without ".default": `<module>.lora_A.weight` (rank, in), `<module>.lora_B.weight` (out,
 * rank), and full parameter names of saved modules; f32
 */
export async function writeAdapter(
  dir: string,
  config: LoraConfig,
  tensors: readonly TensorToWrite[],
  { base, taskType, fanInFanOut }: AdapterBaseInfo,
): Promise<void> {
  const entries = tensors.map((entry) => ({ ...entry, name: KEY_PREFIX + entry.name }));
  await writeSafetensors(join(dir, "adapter_model.safetensors"), entries, { format: "pt" });
  const targets = typeof config.target_modules === "string" ? config.target_modules : [...config.target_modules].sort();
  const content = {
    ...UNUSED,
    alpha_pattern: config.alpha_pattern ?? {},
    base_model_name_or_path: base,
    exclude_modules: config.exclude_modules ?? null,
    fan_in_fan_out: fanInFanOut,
    inference_mode: true,
    layers_pattern: config.layers_pattern ?? null,
    layers_to_transform: config.layers_to_transform ?? null,
    lora_alpha: config.lora_alpha,
    lora_dropout: config.lora_dropout,
    modules_to_save: config.modules_to_save.length === 0 ? null : config.modules_to_save,
    peft_type: "LORA",
    peft_version: PEFT_VERSION,
    r: config.r,
    rank_pattern: config.rank_pattern ?? {},
    target_modules: targets,
    task_type: taskType,
    use_rslora: config.use_rslora,
  };
  const sorted = Object.fromEntries(Object.entries(content).sort(([a], [b]) => (a < b ? -1 : 1)));
  await writeFileAtomic(join(dir, "adapter_config.json"), JSON.stringify(sorted, undefined, 2) + "\n");
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value);
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function isNames(value: unknown): value is string | string[] {
  return typeof value === "string" || isStrings(value);
}

function isNumbers(value: unknown): value is Record<string, number> {
  return isJsonObject(value) && Object.values(value).every(isNumber);
}

function isLayers(value: unknown): value is number | number[] {
  return [value].flat().every((item) => Number.isSafeInteger(item));
}
