/** How text is generated, under transformers' names (GenerationConfig), with its defaults where it has one. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { z } from "zod";
import { checkKeys, type KeyTable, type Warn } from "../json/known-keys.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";

/** @param expected what the value must be, in the words of an error */
const setting = <T extends z.ZodType>(type: T, value: z.output<T>, expected: string) =>
  type.default(value as never).meta({ description: expected });

const id = z.int().min(0);
const words = z.array(id).min(1);
const off = z.null();
const whole = (least: number) => `a whole number of ${least} or more`;

export const generationConfig = z.object({
  /** Null for as many as `max_length` leaves, or DEFAULT_NEW_TOKENS. */
  max_new_tokens: setting(z.int().min(1).nullable(), null, whole(1)),
  /** Most tokens of a prompt and its continuation; `max_new_tokens` goes before it. */
  max_length: setting(z.int().min(1).nullable(), null, whole(1)),
  /** No end of text before so many tokens; null for `min_length`. */
  min_new_tokens: setting(z.int().nullable(), null, "a whole number"),
  /** The same with the prompt. */
  min_length: setting(z.int(), 0, "a whole number"),
  do_sample: setting(z.boolean(), false, "true or false"),
  temperature: setting(z.number().gt(0), 1, "a number above 0"),
  /** A share of the entropy; null keeps all. */
  top_h: setting(z.number().gt(0).max(1).nullable(), null, "a number above 0 and up to 1"),
  /** 0 keeps all. */
  top_k: setting(id, 50, `${whole(0)} (0 keeps all tokens)`),
  /** 1 and more keep all, as of `typical_p`. */
  top_p: setting(z.number().min(0), 1, "a number of 0 or more (1 keeps all tokens)"),
  min_p: setting(z.number().min(0).max(1).nullable(), null, "a number from 0 to 1"),
  typical_p: setting(z.number().gt(0), 1, "a number above 0 (1 keeps all tokens)"),
  /** These two act between 0 and 1. */
  epsilon_cutoff: setting(z.number(), 0, "a number"),
  eta_cutoff: setting(z.number(), 0, "a number"),
  repetition_penalty: setting(z.number().gt(0), 1, "a number above 0 (1 changes nothing)"),
  /** The inverse, for the tokens of the prompt: above 1 makes them likelier. */
  encoder_repetition_penalty: setting(z.number().gt(0), 1, "a number above 0 (1 changes nothing)"),
  no_repeat_ngram_size: setting(z.int(), 0, "a whole number"),
  /** The same for what stands in the prompt. */
  encoder_no_repeat_ngram_size: setting(z.int(), 0, "a whole number"),
  /** What is added to the score of the last token of a sequence after the others. */
  sequence_bias: setting(
    z.array(z.tuple([words, z.number()])).nullable(),
    null,
    "a list of [[token ids], number] such as [[[10, 45], -0.6]]",
  ),
  /** Sequences whose last token is ruled out after the others. */
  bad_words_ids: setting(z.array(words).nullable(), null, "a list of lists of token ids such as [[699], [10, 45]]"),
  suppress_tokens: setting(z.array(z.int()).nullable(), null, "a list of token ids"),
  /** Ruled out as the first new token. */
  begin_suppress_tokens: setting(z.array(z.int()).nullable(), null, "a list of token ids"),
  /** Follows a prompt of one token. */
  forced_bos_token_id: setting(id.nullable(), null, "a token id"),
  /** The last token where the length runs out. */
  forced_eos_token_id: setting(z.union([id, z.array(id), off]), null, "a token id or a list of them"),
  /** From so many new tokens on, the end of text gets likelier by this factor. */
  exponential_decay_length_penalty: setting(
    z.tuple([z.int(), z.number()]).nullable(),
    null,
    "a list of a whole number and a number such as [30, 1.1]",
  ),
  remove_invalid_values: setting(z.boolean(), false, "true or false"),
  renormalize_logits: setting(z.boolean(), false, "true or false"),
  num_beams: setting(z.int().min(1), 1, whole(1)),
  num_return_sequences: setting(z.int().min(1), 1, whole(1)),
  length_penalty: setting(z.number(), 1, "a number"),
  early_stopping: setting(z.union([z.boolean(), z.literal("never")]), false, 'true, false or "never"'),
  /** Tokens that end a text; they are its last token then. */
  eos_token_id: setting(z.union([z.int(), z.array(z.int()), off]), null, "a token id or a list of them"),
  stop_strings: setting(
    z.union([z.string().min(1), z.array(z.string().min(1)), off]),
    null,
    "a text or a list of texts, none of them empty",
  ),
  seed: setting(id, 42, whole(0)),
});

export type GenerationConfig = z.infer<typeof generationConfig>;

/** Read only where tokens are drawn at random, and only where beams are searched. */
const OF_SAMPLING = ["temperature", "top_h", "top_k", "top_p", "min_p", "typical_p", "epsilon_cutoff", "eta_cutoff"];
const OF_BEAMS = ["length_penalty", "early_stopping", "renormalize_logits"];

const { seed: _, ...OF_FILE } = generationConfig.shape;

/** What generation_config.json may say. A key that is missing here is named and not acted on. */
const KEYS: KeyTable = {
  acted: Object.keys(OF_FILE),
  inert: [
    // Where the file comes from.
    ...["transformers_version", "_from_model_config", "_commit_hash", "_original_object_hash", "trust_remote_code"],
    // What generate() of transformers returns beside the text.
    ...["output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate"],
    // Padding, and models with an encoder: there is neither here.
    ...["pad_token_id", "bos_token_id", "decoder_start_token_id"],
    // How the work is done, not what comes of it.
    ...["use_cache", "cache_implementation", "cache_config", "max_cache_len", "return_legacy_cache", "low_memory"],
    ...["prefill_chunk_size", "compile_config", "disable_compile", "continuous_batching_config"],
    // Drafting tokens ahead, which asks for a second model or saves time alone.
    ...["num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold"],
    ...["assistant_lookbehind", "target_lookbehind", "assistant_early_exit", "assistant_ensemble_weight"],
    ...["prompt_lookup_num_tokens", "max_matching_ngram_size", "speculation_type", "use_mtp"],
  ],
  refused: {},
};

/** The values of keys that are not acted on with which transformers does nothing either. */
const IDLE: Readonly<Record<string, unknown>> = {
  guidance_scale: 1,
  penalty_alpha: 0,
  num_beam_groups: 1,
  diversity_penalty: 0,
};

/** Where values come from, for an error about one. */
export interface SettingsSource {
  readonly place: string;
  /** What to do about the value of a key, such as the flag that replaces it. */
  readonly remedy: (key: string) => string;
}

/**
 * Fills in what is not given. A value that is not read, such as the temperature where nothing is drawn, is not judged.
 * @throws InputError naming a key with a value that cannot be
 */
export function resolveGenerationConfig(
  config: Partial<GenerationConfig> = {},
  source?: SettingsSource,
): GenerationConfig {
  const unread = [
    ...(config.do_sample === true ? [] : OF_SAMPLING),
    ...((config.num_beams ?? 1) === 1 ? OF_BEAMS : []),
  ];
  const read = Object.entries(config).filter(([key, value]) => (value ?? null) !== null && !unread.includes(key));
  const { data, error } = generationConfig.safeParse(Object.fromEntries(read));
  const fail = (key: string, message: string): InputError => {
    const text = `"${key}": ${message}`;
    if (source === undefined) return new InputError(text);
    return new InputError(`${text}; ${source.remedy(key)}`, { place: source.place });
  };
  if (data === undefined) {
    const key = String(error.issues[0]?.path[0]) as keyof GenerationConfig;
    const expected = generationConfig.shape[key].meta()?.description;
    throw fail(key, `expected ${expected}, got ${describeJson(config[key])}`);
  }
  // All tokens would be ruled out.
  const suppressed = new Set(data.suppress_tokens);
  for (const key of ["forced_bos_token_id", "forced_eos_token_id"] as const) {
    const forced = [data[key] ?? []].flat();
    if (forced.length > 0 && forced.every((one) => suppressed.has(one)))
      throw fail(key, `${forced.join(", ")} is forced and ruled out, by "suppress_tokens"`);
  }
  return data;
}

/**
 * What generation_config.json of a model folder says, as it stands there: values are judged with what replaces them, by
 * `resolveGenerationConfig`. Where there is no such file, config.json says what ends a text.
 * @param warn told of each key that is not acted on
 * @throws InputError where the file is no JSON object
 */
export async function readGenerationConfig(dir: string, warn: Warn): Promise<Partial<GenerationConfig>> {
  const place = generationConfigFile(dir);
  const values = await readJsonObject(place);
  if (values === undefined) {
    const config = (await readJsonObject(join(dir, "config.json"))) ?? {};
    const text = isJsonObject(config["text_config"]) ? config["text_config"] : {};
    return pick({ eos_token_id: config["eos_token_id"] ?? text["eos_token_id"] });
  }
  const idle = Object.keys(IDLE).filter((key) => values[key] === IDLE[key]);
  checkKeys(values, { ...KEYS, inert: [...KEYS.inert, ...idle] }, place, warn);
  return pick(values);
}

export function generationConfigFile(dir: string): string {
  return join(dir, "generation_config.json");
}

/** The keys that are acted on and have a value. */
function pick(values: Readonly<Record<string, unknown>>): Partial<GenerationConfig> {
  const given = Object.entries(values).filter(
    ([key, value]) => (value ?? null) !== null && Object.hasOwn(OF_FILE, key),
  );
  return Object.fromEntries(given);
}

/** The ids that end a text. */
export function eosIds({ eos_token_id: eos }: Pick<GenerationConfig, "eos_token_id">): readonly number[] {
  return [eos ?? []].flat();
}
