/** config.json of a Hugging Face model, and the parts of it that every model family reads the same way. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject, readJsonObject } from "./read-json-object.js";

export interface HfConfig {
  /** The file, for error messages. */
  readonly path: string;
  readonly modelType: string;
  readonly values: Readonly<Record<string, unknown>>;
}

/** @throws InputError where config.json is missing, no object, or without model_type. */
export async function readHfConfig(dir: string): Promise<HfConfig> {
  const path = join(dir, "config.json");
  const values = await readJsonObject(path);
  if (values === undefined) {
    throw new InputError("expected the folder of a Hugging Face model, but it has no config.json", { place: dir });
  }
  const modelType = values["model_type"];
  if (typeof modelType !== "string" || modelType === "") {
    throw new InputError(`expected model_type to be a string such as "llama", got ${describeJson(modelType)}`, {
      place: path,
    });
  }
  return { path, modelType, values };
}

function wrong(config: HfConfig, key: string, expected: string, value: unknown): InputError {
  return new InputError(`expected ${key} to be ${expected}, got ${describeJson(value)}`, { place: config.path });
}

/** The first of the keys that is present and not null: configs spell some sizes in more than one way (n_layer, num_hidden_layers). */
function first(config: HfConfig, keys: readonly string[]): unknown {
  return keys.map((key) => config.values[key]).find((value) => value !== undefined && value !== null);
}

/** A size: an integer of at least 1. Further keys are older names of the same thing. */
export function requireInt(config: HfConfig, ...keys: readonly [string, ...string[]]): number {
  const value = first(config, keys);
  if (!Number.isSafeInteger(value) || (value as number) < 1)
    throw wrong(config, keys.join(" or "), "a positive integer", value);
  return value as number;
}

/** Any integer, or undefined where the key is absent or null. */
export function optionalInt(config: HfConfig, ...keys: readonly [string, ...string[]]): number | undefined {
  const value = first(config, keys);
  if (value !== undefined && !Number.isSafeInteger(value)) throw wrong(config, keys.join(" or "), "an integer", value);
  return value as number | undefined;
}

/** A number, or undefined where the key is absent or null. */
export function optionalNumber(config: HfConfig, ...keys: readonly [string, ...string[]]): number | undefined {
  const value = first(config, keys);
  if (value !== undefined && typeof value !== "number") throw wrong(config, keys.join(" or "), "a number", value);
  return value;
}

/** A boolean, or undefined where the key is absent or null. */
export function optionalBool(config: HfConfig, ...keys: readonly [string, ...string[]]): boolean | undefined {
  const value = first(config, keys);
  if (value !== undefined && typeof value !== "boolean") throw wrong(config, keys.join(" or "), "true or false", value);
  return value;
}

/** A string, or undefined where the key is absent or null. */
export function optionalString(config: HfConfig, ...keys: readonly [string, ...string[]]): string | undefined {
  const value = first(config, keys);
  if (value !== undefined && typeof value !== "string") throw wrong(config, keys.join(" or "), "a string", value);
  return value;
}

/** Model types whose configs tie the output head to the embeddings unless they say otherwise; transformers leaves the key out then. */
// prettier-ignore
const TIED_BY_DEFAULT: ReadonlySet<string> = new Set([
  "bloom", "cohere", "falcon", "gemma", "gemma2", "gemma3_text", "gpt2", "opt", "smollm3", "starcoder2",
]);

export function tieWordEmbeddings(config: HfConfig): boolean {
  return optionalBool(config, "tie_word_embeddings") ?? TIED_BY_DEFAULT.has(config.modelType);
}

/** The dtype the weights were saved in, as "float32", "bfloat16" or "float16"; undefined where the config does not say. */
export function storedTorchDtype(config: HfConfig): string | undefined {
  return optionalString(config, "dtype", "torch_dtype")?.replace(/^torch\./, "");
}

export interface RopeParameters {
  readonly type: "default" | "linear" | "dynamic" | "yarn" | "llama3";
  readonly theta: number;
  /** Every type but "default". */
  readonly factor?: number;
  /** llama3. */
  readonly lowFreqFactor?: number;
  readonly highFreqFactor?: number;
  /** llama3 and yarn: the context length of pretraining, max_position_embeddings where the config does not say. */
  readonly originalMaxPositions?: number;
}

const ROPE_TYPES = ["default", "linear", "dynamic", "yarn", "llama3"] as const;

/**
 * Reads both layouts: rope_parameters { rope_type, rope_theta, … } as transformers 5 writes it, and rope_theta with
 * rope_scaling { rope_type or type, … } as checkpoints before it have.
 */
export function ropeParameters(config: HfConfig): RopeParameters {
  const layout = isPresent(config.values["rope_parameters"]) ? "rope_parameters" : "rope_scaling";
  const nested = config.values[layout] ?? {};
  if (!isJsonObject(nested)) throw wrong(config, layout, "an object", nested);
  if (Object.values(nested).some(isJsonObject)) {
    throw new InputError(
      `${layout} differs by layer type (${Object.keys(nested).join(", ")}), which is not supported yet`,
      { place: config.path },
    );
  }
  const view: HfConfig = { ...config, values: nested };
  const number = (key: string): number => {
    const value = nested[key];
    if (typeof value !== "number" || !(value > 0)) throw wrong(config, `${layout}.${key}`, "a positive number", value);
    return value;
  };

  const type = optionalString(view, "rope_type", "type") ?? "default";
  if (!(ROPE_TYPES as readonly string[]).includes(type)) {
    throw new InputError(
      `${layout}.rope_type ${describeJson(type)} is not supported; expected ${ROPE_TYPES.join(", ")}`,
      { place: config.path },
    );
  }
  const theta = optionalNumber(view, "rope_theta") ?? optionalNumber(config, "rope_theta") ?? 10_000;
  if (!(theta > 0)) throw wrong(config, "rope_theta", "a positive number", theta);
  const rope = { type: type as RopeParameters["type"], theta };
  if (rope.type === "default") return rope;
  const scaled = { ...rope, factor: number("factor") };
  if (rope.type !== "llama3" && rope.type !== "yarn") return scaled;
  const originalMaxPositions = isPresent(nested["original_max_position_embeddings"])
    ? number("original_max_position_embeddings")
    : requireInt(config, "original_max_position_embeddings", "max_position_embeddings");
  if (rope.type === "yarn") return { ...scaled, originalMaxPositions };
  return {
    ...scaled,
    originalMaxPositions,
    lowFreqFactor: number("low_freq_factor"),
    highFreqFactor: number("high_freq_factor"),
  };
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

const f32 = Math.fround;

/**
 * Inverse frequencies of rotary embeddings as transformers computes them, in f32 and, for the sizes that models have,
 * bit for bit (transformers' modeling_rope_utils).
 *
 * @param headDim the number of rotated elements of a head; even
 * @returns invFreq (headDim / 2) and the factor on cos and sin
 * @throws InputError for "dynamic" and "yarn"
 */
export function inverseFrequencies(
  rope: RopeParameters,
  headDim: number,
): { invFreq: Float32Array; attentionFactor: number } {
  const half = headDim / 2;
  // PyTorch runs its vector loop over whole groups of 32 elements and libm's powf on the rest; the two round differently.
  const vectorised = Math.floor(half / 32) * 32;
  const theta = f32(rope.theta);
  const invFreq = Float32Array.from({ length: half }, (_, j) => {
    const exponent = f32((2 * j) / headDim);
    return 1 / (j < vectorised ? sleefPow(theta, exponent) : f32(Math.pow(theta, exponent)));
  });

  switch (rope.type) {
    case "default":
      break;
    case "linear":
      for (let j = 0; j < half; j++) invFreq[j]! /= rope.factor!;
      break;
    case "llama3":
      invFreq.set(invFreq.map((frequency) => scaleAsLlama3(frequency, rope)));
      break;
    default:
      throw new InputError(`rope type ${rope.type} is not supported yet`);
  }
  return { invFreq, attentionFactor: 1 };
}

/** Long wavelengths are divided by the factor, short ones kept, those between interpolated. PyTorch divides a number by a
 * tensor as number * (1 / tensor), hence the reciprocals. */
function scaleAsLlama3(frequency: number, rope: RopeParameters): number {
  const { factor = 1, lowFreqFactor = 1, highFreqFactor = 1, originalMaxPositions = 1 } = rope;
  const wavelength = f32(f32(1 / frequency) * f32(2 * Math.PI));
  if (wavelength > originalMaxPositions / lowFreqFactor) return f32(frequency / factor);
  if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
  const smooth = f32(
    f32(f32(f32(1 / wavelength) * originalMaxPositions) - lowFreqFactor) / f32(highFreqFactor - lowFreqFactor),
  );
  const scaled = f32(f32(f32(1 - smooth) * frequency) / factor);
  return f32(scaled + f32(smooth * frequency));
}

/**
 * x ** y for normal x > 0, with the polynomials of Sleef's powf (1.0 ulp), which PyTorch's vector loop calls. Sleef carries
 * pairs of f32 where we carry a double; both are exact enough that the results are equal.
 */
function sleefPow(x: number, y: number): number {
  const exponent = Math.floor(Math.log2(f32(x * f32(1 / 0.75))));
  const mantissa = x / 2 ** exponent;
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let t = f32(0.2403203547000885);
  for (const c of [0.2851126790046692, 0.4000079929828644]) t = f32(t * f32(s2) + c);
  const log = exponent * Math.LN2 + 2 * s + s2 * s * (s2 * t + 0.6666666269302368 + 3.6918386125961433e-9);

  const product = log * y;
  const twos = Math.round(product / Math.LN2);
  const r = product - twos * Math.LN2;
  let u = f32(0.0013632464688271284);
  for (const c of [0.00836596917361021, 0.04167108237743378, 0.16666552424430847, 0.49999985098838806]) {
    u = f32(u * f32(r) + c);
  }
  return f32(1 + r + r * r * u) * 2 ** twos;
}
