/** Fields of config.json that families read alike. */
import { InputError } from "@medgpt/artifacts";
import type { Activation } from "../backends/kernels.js";
import {
  inverseFrequencies,
  optionalInt,
  optionalNumber,
  optionalString,
  requireInt,
  ropeParameters,
  ropeReach,
  type HfConfig,
} from "../checkpoint/hf-config.js";
import { describeJson } from "../json/read-json-object.js";
import type { RotaryEmbedding } from "../nn/decoder.js";

/** The config with the values that transformers gives to keys that are absent; a key that is null stays so. */
export function withDefaults(config: HfConfig, defaults: Readonly<Record<string, unknown>>): HfConfig {
  return { ...config, values: { ...defaults, ...config.values } };
}

export function unsupported(config: HfConfig, key: string, why: string): InputError {
  const value = describeJson(config.values[key]);
  return new InputError(`${key} ${value} is not supported: ${why}`, { place: config.path });
}

/** transformers' names of the activations there are (its ACT2FN). */
const ACTIVATION_NAMES: ReadonlyMap<string, Activation> = new Map([
  ["silu", "silu"],
  ["swish", "silu"],
  ["gelu", "gelu"],
  ["gelu_python", "gelu"],
  ["gelu_new", "gelu_tanh"],
  ["gelu_fast", "gelu_tanh"],
  ["gelu_pytorch_tanh", "gelu_tanh"],
  ["relu", "relu"],
]);

/** @throws InputError for an activation that is not supported */
export function activationField(config: HfConfig, key: string, fallback: string): Activation {
  const activation = ACTIVATION_NAMES.get(optionalString(config, key) ?? fallback);
  if (activation === undefined) throw unsupported(config, key, `expected ${[...ACTIVATION_NAMES.keys()].join(", ")}`);
  return activation;
}

/** A cap of scores or logits, undefined where there is none. */
export function softCapField(config: HfConfig, key: string): number | undefined {
  const cap = optionalNumber(config, key);
  if (cap !== undefined && !(cap > 0)) throw unsupported(config, key, "expected a number above 0, or null for none");
  return cap;
}

/** Far more than any model has; a damaged number would be a list of that length. */
const MAX_LAYERS = 100_000;

/**
 * What a query of each layer sees (DecoderOptions.scores.windows), undefined where every layer sees everything: by
 * layer_types or, where the config has none, by the family's own pattern.
 * @param window sliding_window, undefined where it is not to be used
 * @param slides whether a layer has the window
 */
export function layerWindows(
  config: HfConfig,
  layers: number,
  window: number | undefined,
  slides: (layer: number) => boolean,
): readonly number[] | undefined {
  if (layers > MAX_LAYERS)
    throw new InputError(`expected num_hidden_layers to be at most ${MAX_LAYERS}, got ${layers}`, {
      place: config.path,
    });
  const sliding = layerTypes(config, layers) ?? Array.from({ length: layers }, (_, layer) => slides(layer));
  if (!sliding.includes(true)) return undefined;
  if (window === undefined)
    throw new InputError("expected a sliding_window for layers of sliding_attention, but none is in use", {
      place: config.path,
    });
  return sliding.map((slides) => (slides ? window : 0));
}

/** Whether each layer slides, by layer_types; undefined where the config has none. */
function layerTypes(config: HfConfig, layers: number): readonly boolean[] | undefined {
  const types = config.values["layer_types"] ?? undefined;
  if (types === undefined) return undefined;
  const known: readonly unknown[] = ["full_attention", "sliding_attention"];
  if (!Array.isArray(types) || types.length !== layers || !types.every((type) => known.includes(type)))
    throw unsupported(config, "layer_types", `expected ${known.join(" or ")} for each of the ${layers} layers`);
  return types.map((type) => type === "sliding_attention");
}

/** sliding_window, undefined where it is null. */
export function slidingWindow(config: HfConfig): number | undefined {
  return optionalInt(config, "sliding_window") === undefined ? undefined : requireInt(config, "sliding_window");
}

/** Rotary embeddings as the config describes them, and the longest sequence that they allow. */
export function rotaryEmbedding(
  config: HfConfig,
  headDim: number,
): { positions: { readonly kind: "rope" } & RotaryEmbedding; maxPositions: number | undefined } {
  if (headDim % 2 !== 0)
    throw new InputError(`heads of ${headDim} elements cannot be rotated; expected an even number`, {
      place: config.path,
    });
  const rope = ropeParameters(config);
  const { invFreq, attentionFactor: factor } = inverseFrequencies(rope, headDim);
  const frequencies = (longest: number): Float32Array =>
    rope.type === "dynamic" ? inverseFrequencies(rope, headDim, longest).invFreq : invFreq;
  const maxPositions = ropeReach(rope, requireInt(config, "max_position_embeddings"));
  return { positions: { kind: "rope", frequencies, factor }, maxPositions };
}
