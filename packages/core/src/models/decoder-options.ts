/** From config.json to the decoder that it describes. */
import { InputError } from "@medgpt/artifacts";
import { optionalNumber, type HfConfig } from "../checkpoint/hf-config.js";
import type { Warn } from "../json/known-keys.js";
import type { DecoderOptions } from "../nn/decoder.js";
import { checkConfigKeys } from "./config-keys.js";
import { families } from "./families.js";
import type { Family } from "./family.js";

/**
 * The decoder that a config.json describes.
 * @param warn told of keys that are not known here
 * @throws InputError for a family or a field that is not supported
 */
export function decoderOptions(config: HfConfig, warn: Warn = () => {}): DecoderOptions {
  const family = familyOf(config);
  checkConfigKeys(config, family, warn);
  return family.decoder(config);
}

/** Dropout inside the model that config.json asks for in training and that is not applied, as "attn_pdrop 0.1". */
export function unusedDropout(config: HfConfig): string[] {
  return Object.entries(familyOf(config).dropout).flatMap(([key, fallback]) => {
    const p = optionalNumber(config, key) ?? fallback;
    return p === 0 ? [] : [`${key} ${p}`];
  });
}

function familyOf(config: HfConfig): Family {
  const family = families.find(({ modelType }) => modelType === config.modelType);
  if (family !== undefined) return family;
  const known = families.map(({ modelType }) => modelType).join(", ");
  throw new InputError(`model_type "${config.modelType}" is not supported; supported are ${known}`, {
    place: config.path,
  });
}
