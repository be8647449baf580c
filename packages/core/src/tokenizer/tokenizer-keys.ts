/** What is done about the keys of tokenizer_config.json and special_tokens_map.json, where tokenizer.json is what counts. */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { checkKeys, type KeyTable, type Warn } from "../json/known-keys.js";
import { isJsonObject } from "../json/read-json-object.js";
import type { TokenizerJsons } from "./added-tokens.js";
import type { TokenizerEngine } from "./engine.js";

const LISTS = ["additional_special_tokens", "extra_special_tokens"];

/** Keys that end with _token are special tokens, whatever they are called, and in no list. */
const CONFIG: KeyTable = {
  acted: [
    ...LISTS,
    "added_tokens_decoder",
    "chat_template",
    "padding_side",
    "tokenizer_class",
    // Compared with tokenizer.json below.
    "add_prefix_space",
    "clean_up_tokenization_spaces",
    "do_lower_case",
  ],
  inert: [
    "_commit_hash",
    "_from_auto",
    "_name_or_path",
    "auto_map",
    "backend",
    "cache_dir",
    "chat_control_tokens",
    "device_map",
    "do_basic_tokenize",
    "errors",
    "from_slow",
    "init_inputs",
    "is_local",
    "keep_accents",
    "language",
    "legacy",
    "local_files_only",
    "max_len",
    "max_length",
    "merges_file",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "never_split",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "processor_class",
    "remove_space",
    "response_schema",
    "response_template",
    "return_token_type_ids",
    "revision",
    "sp_model_kwargs",
    "spaces_between_special_tokens",
    "special_tokens_map_file",
    "stride",
    "strip_accents",
    "tokenize_chinese_chars",
    "tokenizer_file",
    "transformers_version",
    "trim_offsets",
    "truncation",
    "truncation_side",
    "truncation_strategy",
    "trust_remote_code",
    "use_default_system_prompt",
    "use_fast",
    "verbose",
    "vocab_file",
    "wordpieces_prefix",
  ],
  refused: {
    split_special_tokens: {
      idle: [],
      why: "special tokens in a text are always read as such; set it to false",
    },
    fix_mistral_regex: {
      idle: [],
      why: "it changes how text is cut; save the tokenizer with it once in Python, so that tokenizer.json has the mended form, and take the key out",
    },
  },
};

const MAP: KeyTable = { acted: LISTS, inert: [], refused: {} };

/** Classes of transformers that take everything from tokenizer.json; the others build it anew from some of these keys. */
const GENERIC = /^(PreTrainedTokenizer(Fast)?|TokenizersBackend)$/;

/**
 * Goes through the keys of both files. What transformers 5 reads from tokenizer.json instead (add_bos_token, add_eos_token)
 * is named in a line where the two differ.
 * @throws InputError for keys that would change the text that is learnt
 */
export function checkTokenizerKeys(jsons: TokenizerJsons, warn: Warn): void {
  const { dir, config, map } = jsons;
  const place = join(dir, "tokenizer_config.json");
  checkKeys(withoutTokens(config), CONFIG, place, warn);
  checkKeys(withoutTokens(map), MAP, join(dir, "special_tokens_map.json"), warn);
  const { normalizer, pre_tokenizer: preTokenizer, model } = jsons.tokenizer;
  const kind = config["tokenizer_class"];
  const parts = [...partsOf(normalizer), ...partsOf(preTokenizer)];
  const contradicts = (key: string, does: string): InputError =>
    new InputError(
      `${key} ${String(config[key])} contradicts tokenizer.json, which ${does}; take the key out if tokenizer.json is right, else save the tokenizer again in Python`,
      { place },
    );
  if (typeof kind === "string" && !GENERIC.test(kind)) {
    const prefixes = prefixSpaces(parts, kind.startsWith("Llama"));
    const wanted = config["add_prefix_space"];
    if (typeof wanted === "boolean" && prefixes.length > 0 && !prefixes.includes(wanted))
      throw contradicts("add_prefix_space", wanted ? "puts no space before a text" : "puts a space before a text");
    const lower = parts.some(({ type, lowercase }) => type === "Lowercase" || lowercase === true);
    if (config["do_lower_case"] === true && !lower) throw contradicts("do_lower_case", "keeps capitals");
  }
  // transformers leaves byte-pair encodings alone, too.
  const type = isJsonObject(model) ? (model["type"] ?? "BPE") : "BPE";
  if (config["clean_up_tokenization_spaces"] === true && type !== "BPE")
    warn(
      `${place}: "clean_up_tokenization_spaces" is true, which is not acted on: spaces before punctuation stay in answers`,
    );
}

/** Names add_bos_token and add_eos_token in a line each where tokenizer.json does otherwise. */
export function checkAddedEnds(
  { dir, config }: TokenizerJsons,
  engine: TokenizerEngine,
  ids: { readonly bosId: number | undefined; readonly eosId: number | undefined },
  warn: Warn,
): void {
  const asked = [config["add_bos_token"], config["add_eos_token"]];
  if (!asked.some((value) => typeof value === "boolean")) return;
  const [plain, full] = [false, true].map((special) => [...engine.encode("a", special)]) as [number[], number[]];
  const more = full.length > plain.length;
  const adds = [more && full[0] === ids.bosId, more && full.at(-1) === ids.eosId && full.at(-1) !== plain.at(-1)];
  for (const [index, name] of ["bos", "eos"].entries())
    if (typeof asked[index] === "boolean" && asked[index] !== adds[index])
      warn(
        `${join(dir, "tokenizer_config.json")}: "add_${name}_token" is ${asked[index]}, but tokenizer.json ${adds[index] ? "adds" : "does not add"} the ${name}_token, which is what counts (in transformers 5 as well)`,
      );
}

function withoutTokens(values: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([key]) => !key.endsWith("_token")));
}

/** A normalizer or pre-tokenizer, and what it is made of. */
function partsOf(part: unknown): Record<string, unknown>[] {
  if (!isJsonObject(part)) return [];
  const inner = [part["normalizers"], part["pretokenizers"]].flatMap((list) => (Array.isArray(list) ? list : []));
  return [part, ...inner.flatMap(partsOf)];
}

/** Whether parts put a space before a text, for each that could. Llama's classes take byte-level ones as they are. */
function prefixSpaces(parts: readonly Record<string, unknown>[], isLlama: boolean): boolean[] {
  return parts.flatMap(({ type, add_prefix_space: space, prepend_scheme: scheme }) => {
    if (type === "Prepend") return [true];
    if (type === "Metaspace") return [scheme === undefined ? space !== false : scheme !== "never"];
    return type === "ByteLevel" && !isLlama ? [space === true] : [];
  });
}
