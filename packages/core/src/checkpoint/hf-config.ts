/** config.json of a Hugging Face model, and the parts of it that every model family reads the same way. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";

export interface HfConfig {
  /** The file, for error messages. */
  readonly path: string;
  readonly modelType: string;
  /** What the file says, `changes` made. */
  readonly values: Readonly<Record<string, unknown>>;
  /** What is taken to stand there in place of what does; undefined takes a field away. */
  readonly changes?: Readonly<Record<string, unknown>>;
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
  if (value !== undefined && !Number.isFinite(value)) throw wrong(config, keys.join(" or "), "a number", value);
  return value as number | undefined;
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
  /** llama3 and yarn: the context length of pretraining; dynamic: max_position_embeddings, beyond which theta grows. */
  readonly originalMaxPositions?: number;
  /** llama3. */
  readonly lowFreqFactor?: number;
  readonly highFreqFactor?: number;
  /** yarn: turns in the original context from which a frequency is kept, and up to which it is interpolated; whether the
   * dimensions where that happens are whole; and what multiplies cosines and sines. */
  readonly betaFast?: number;
  readonly betaSlow?: number;
  readonly truncate?: boolean;
  readonly attentionFactor?: number;
}

const ROPE_TYPES = ["default", "linear", "dynamic", "yarn", "llama3"] as const;

/** Keys that are read, where the type has a use for them, and one that says nothing about the computation. */
// prettier-ignore
const ROPE_KEYS: ReadonlySet<string> = new Set([
  "rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor",
  "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate", "partial_rotary_factor", "finetuned",
]);

/**
 * Reads both layouts: rope_parameters { rope_type, rope_theta, … } as transformers 5 writes it, and rope_theta with
 * rope_scaling { rope_type or type, … } as checkpoints before it have.
 */
export function ropeParameters(config: HfConfig): RopeParameters {
  const layout = isPresent(config.values["rope_scaling"]) ? "rope_scaling" : "rope_parameters";
  const nested = config.values[layout] ?? {};
  if (!isJsonObject(nested)) throw wrong(config, layout, "an object", nested);
  const refuse = (what: string): InputError => new InputError(`${layout}${what}`, { place: config.path });
  if (Object.values(nested).some(isJsonObject))
    throw refuse(` differs by layer type (${Object.keys(nested).join(", ")}), which is not supported`);
  const unknown = Object.keys(nested).find((key) => !ROPE_KEYS.has(key) && isPresent(nested[key]));
  if (unknown !== undefined) throw refuse(`.${unknown} is not supported`);
  if ((nested["partial_rotary_factor"] ?? 1) !== 1)
    throw refuse(
      `.partial_rotary_factor ${describeJson(nested["partial_rotary_factor"])} is not supported; expected 1`,
    );
  const view: HfConfig = { ...config, values: nested };
  const number = (key: string): number => {
    const value = nested[key];
    if (typeof value !== "number" || !(value > 0 && value < Infinity))
      throw wrong(config, `${layout}.${key}`, "a positive number", value);
    return value;
  };
  const optional = (key: string): number | undefined => (isPresent(nested[key]) ? number(key) : undefined);

  const type = optionalString(view, "rope_type", "type") ?? "default";
  if (!(ROPE_TYPES as readonly string[]).includes(type))
    throw refuse(`.rope_type ${describeJson(type)} is not supported; expected ${ROPE_TYPES.join(", ")}`);
  const theta = optionalNumber(view, "rope_theta") ?? optionalNumber(config, "rope_theta") ?? 10_000;
  if (!(theta > 0)) throw wrong(config, "rope_theta", "a positive number", theta);
  const rope = { type: type as RopeParameters["type"], theta };
  const maxPositions = (): number => requireInt(config, "max_position_embeddings");
  if (rope.type === "default") return rope;
  if (rope.type === "linear") return { ...rope, factor: number("factor") };
  if (rope.type === "dynamic") return { ...rope, factor: number("factor"), originalMaxPositions: maxPositions() };
  // The key outside wins, as in transformers.
  const originalMaxPositions =
    optionalInt(config, "original_max_position_embeddings") ??
    optional("original_max_position_embeddings") ??
    maxPositions();
  if (rope.type === "llama3") {
    const [lowFreqFactor, highFreqFactor] = [number("low_freq_factor"), number("high_freq_factor")];
    return { ...rope, factor: number("factor"), originalMaxPositions, lowFreqFactor, highFreqFactor };
  }
  const factor = optional("factor") ?? maxPositions() / originalMaxPositions;
  const grown = (scale: number): number => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const [mscale, all] = [optionalNumber(view, "mscale") ?? 0, optionalNumber(view, "mscale_all_dim") ?? 0];
  return {
    ...rope,
    factor,
    originalMaxPositions,
    betaFast: optionalNumber(view, "beta_fast") || 32,
    betaSlow: optionalNumber(view, "beta_slow") || 1,
    truncate: optionalBool(view, "truncate") ?? true,
    attentionFactor: optional("attention_factor") ?? (mscale && all ? grown(mscale) / grown(all) : grown(1)),
  };
}

export interface RopeScaling {
  readonly type: "linear" | "dynamic";
  readonly maxLength: number;
}

/**
 * A configuration whose rotary positions are scaled by as many times its max_position_embeddings as `maxLength` takes, in
 * place of any scaling that it had.
 */
export function scaleRope(config: HfConfig, { type, maxLength }: RopeScaling): HfConfig {
  const { theta } = ropeParameters(config);
  const factor = Math.ceil(maxLength / requireInt(config, "max_position_embeddings"));
  const changes = { rope_parameters: { rope_type: type, rope_theta: theta, factor }, rope_scaling: undefined };
  return changeConfig(config, changes);
}

/** A configuration in which some fields say something else (or, for undefined, nothing), also once it is saved. */
export function changeConfig(config: HfConfig, changes: Readonly<Record<string, unknown>>): HfConfig {
  return { ...config, values: { ...config.values, ...changes }, changes: { ...config.changes, ...changes } };
}

/** The longest sequence that scaled positions reach, where unscaled ones reach maxPositions; undefined where none is too long. */
export function ropeReach(
  { type, factor = 1, originalMaxPositions = 0 }: RopeParameters,
  maxPositions: number,
): number | undefined {
  switch (type) {
    case "default":
      return maxPositions;
    case "linear":
      return Math.max(maxPositions, Math.floor(maxPositions * factor));
    case "dynamic":
      return undefined;
    case "yarn":
    case "llama3":
      return Math.max(maxPositions, Math.floor(originalMaxPositions * factor));
  }
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
 * @param longest tokens of the longest sequence of the batch, on which "dynamic" depends
 * @returns invFreq (headDim / 2) and the factor on cos and sin
 */
export function inverseFrequencies(
  rope: RopeParameters,
  headDim: number,
  longest = 0,
): { invFreq: Float32Array; attentionFactor: number } {
  const half = headDim / 2;
  // PyTorch runs its vector loop over whole groups of 32 elements and libm's powf on the rest; the two round differently.
  const vectorised = Math.floor(half / 32) * 32;
  const theta = rope.type === "dynamic" ? dynamicTheta(rope, headDim, longest) : f32(rope.theta);
  const wavelengths = Float32Array.from({ length: half }, (_, j) => {
    const exponent = f32((2 * j) / headDim);
    return j < vectorised ? sleefPow(theta, exponent) : f32(Math.pow(theta, exponent));
  });
  const invFreq = wavelengths.map((wavelength) => 1 / wavelength);
  switch (rope.type) {
    case "default":
    case "dynamic":
      break;
    case "linear":
      for (let j = 0; j < half; j++) invFreq[j]! /= rope.factor!;
      break;
    case "llama3":
      invFreq.set(invFreq.map((frequency) => scaleAsLlama3(frequency, rope)));
      break;
    case "yarn":
      invFreq.set(yarnFrequencies(wavelengths, invFreq, rope, headDim));
      break;
  }
  return { invFreq, attentionFactor: rope.attentionFactor ?? 1 };
}

/**
 * theta of a sequence longer than the original context. transformers keeps that of the longest sequence it has seen until one
 * comes that is shorter than the original context; here it depends on the batch alone, so that a result can be repeated.
 */
function dynamicTheta(
  { theta, factor = 1, originalMaxPositions = 1 }: RopeParameters,
  dim: number,
  longest: number,
): number {
  if (longest <= originalMaxPositions) return f32(theta);
  const growth = f32(f32(f32(f32(factor) * longest) / originalMaxPositions) - f32(factor - 1));
  return f32(f32(theta) * f32(Math.pow(growth, f32(dim / (dim - 2)))));
}

/** Frequencies below one range of dimensions are kept, those above it divided by the factor, those in it mixed (Peng et al.
 * 2023, arXiv:2309.00071). */
function yarnFrequencies(
  wavelengths: Float32Array,
  kept: Float32Array,
  rope: RopeParameters,
  dim: number,
): Float32Array {
  const { theta, factor = 1, originalMaxPositions = 1, betaFast = 32, betaSlow = 1, truncate = true } = rope;
  /** The dimension whose frequency turns so often in the original context. */
  const dimensionOf = (turns: number): number =>
    (dim * Math.log(originalMaxPositions / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const [fast, slow] = [dimensionOf(betaFast), dimensionOf(betaSlow)];
  const low = Math.max(truncate ? Math.floor(fast) : fast, 0);
  const high = Math.min(truncate ? Math.ceil(slow) : slow, dim - 1);
  const width = f32((low === high ? high + 0.001 : high) - low);
  return kept.map((frequency, j) => {
    const ramp = Math.min(1, Math.max(0, f32(f32(j - f32(low)) / width)));
    const keep = f32(1 - ramp);
    const interpolated = f32(1 / f32(f32(factor) * wavelengths[j]!));
    return f32(f32(interpolated * f32(1 - keep)) + f32(frequency * keep));
  });
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
