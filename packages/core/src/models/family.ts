import type { HfConfig } from "../checkpoint/hf-config.js";
import type { KeyTable } from "../json/known-keys.js";
import type { DecoderOptions } from "../nn/decoder.js";

/** One model family: its `model_type` in config.json and how that file describes the decoder. */
export interface Family {
  readonly modelType: string;
  /** The family's own keys of config.json, beside those of all families and of `dropout`. */
  readonly keys: Pick<KeyTable, "acted"> & Partial<Pick<KeyTable, "inert" | "refused">>;
  /** Fields for dropout inside the model, which is not applied, and what transformers takes where they are absent. */
  readonly dropout: Readonly<Record<string, number>>;
  /** @throws InputError naming a field of config.json that is missing, malformed or not supported */
  readonly decoder: (config: HfConfig) => DecoderOptions;
}
