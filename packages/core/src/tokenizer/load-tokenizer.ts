import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, MedgptError } from "@medgpt/artifacts";
import type { Warn } from "../json/known-keys.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import { loadNative } from "../run/native.js";
import { isLegacy, mergeAddedTokens, SAVE_AGAIN, type TokenizerJsons } from "./added-tokens.js";
import { jsEngine, nativeEngine, type TokenizerEngine } from "./engine.js";
import { checkAddedEnds, checkTokenizerKeys } from "./tokenizer-keys.js";
import type { Tokenizer } from "./tokenizer.js";

export interface LoadTokenizerOptions {
  /** Default: "native" where @medgpt/native is built, else "js". The ids are the same. */
  readonly engine?: "native" | "js";
  /** Told of what the folder says and is not done. */
  readonly warn?: Warn;
}

/** Every file that a tokenizer may consist of in the Hugging Face layout. Ids come from the first four. */
export const TOKENIZER_FILES = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "chat_template.jinja",
  "chat_template.json",
  "tokenizer.model",
  "sentencepiece.bpe.model",
  "spiece.model",
  "vocab.json",
  "vocab.txt",
  "merges.txt",
] as const;

/** The models that tokenizer.json knows; files from before 2020 leave the type out. */
const MODEL_TYPES: readonly unknown[] = ["BPE", "Unigram", "WordPiece", "WordLevel", undefined];

/** Sixty times the largest vocabulary, of 262,144. */
const MAX_IDS = 2 ** 24;

/** Classes of transformers 5 that pad on the left where tokenizer_config.json does not say. */
const LEFT_PADDING = /^(Llama|CodeLlama|Gemma|Cohere|XLNet)Tokenizer(Fast)?$/;

/**
 * Loads the tokenizer of a Hugging Face folder from its tokenizer.json, with the tokens that only tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json have. Special tokens come from the same files, as strings or { content }
 * objects, and last from config.json's ids.
 * @throws InputError where tokenizer.json is missing or malformed, or another file contradicts it
 */
export async function loadTokenizer(dir: string, options: LoadTokenizerOptions = {}): Promise<Tokenizer> {
  const warn = options.warn ?? (() => undefined);
  const path = join(dir, "tokenizer.json");
  const json = await readJsonObject(path);
  if (json === undefined) {
    throw new InputError(
      "expected a tokenizer.json in this folder, found none; make one once in Python with AutoTokenizer.from_pretrained(folder).save_pretrained(folder)",
      { place: dir },
    );
  }
  const model = json["model"];
  if (!isJsonObject(model) || typeof model["vocab"] !== "object" || !MODEL_TYPES.includes(model["type"])) {
    throw new InputError(
      `expected a tokenizer with a BPE, Unigram, WordPiece or WordLevel model and its vocab, got the model ${describeJson(model)}`,
      { place: path },
    );
  }
  const modelIds = checkIds(path, json);
  for (const part of [json["pre_tokenizer"], json["decoder"]]) checkMetaspace(path, part);
  const read = async (name: string) => (await readJsonObject(join(dir, name))) ?? {};
  const [config, map] = [await read("tokenizer_config.json"), await read("special_tokens_map.json")];
  const jsons = { dir, tokenizer: json, config, map };
  checkTokenizerKeys(jsons, warn);
  const merged = await mergeAddedTokens(jsons, warn);
  const whole = merged === undefined ? json : { ...json, added_tokens: merged };
  const bytes = merged === undefined ? await readFile(path) : Buffer.from(JSON.stringify(whole));
  const engine = await createEngine(path, whole, bytes, options.engine);
  for (const { content, id } of merged ?? [])
    if (engine.tokenToId(content) !== id)
      throw new InputError(
        `gives ${describeJson(content)} the id ${id}, and the tokenizer ${engine.tokenToId(content)}; ${SAVE_AGAIN}`,
        { place: path },
      );
  const special = await specialTokenIds(jsons, engine);
  const isFile = (name: string): Promise<boolean> =>
    stat(join(dir, name)).then(
      (info) => info.isFile(),
      () => false,
    );
  const files = await Promise.all(TOKENIZER_FILES.map(async (name) => ((await isFile(name)) ? [name] : [])));
  const unusable = (cause: unknown): InputError =>
    new InputError(`cannot encode or decode with this tokenizer (${problemOf(cause)}); save it again`, {
      place: path,
      cause,
    });
  const guarded = <T>(run: () => T): T => {
    try {
      return run();
    } catch (cause) {
      throw unusable(cause);
    }
  };
  guarded(() => checkAddedEnds(jsons, engine, special, warn));
  return {
    ...special,
    encodeBatch: (texts, { addSpecialTokens = true } = {}) =>
      engine.encodeBatch(texts.map(unicode), addSpecialTokens).catch((cause: unknown) => {
        throw unusable(cause);
      }),
    encode: (text, { addSpecialTokens = true } = {}) => guarded(() => engine.encode(unicode(text), addSpecialTokens)),
    decode: (ids, { skipSpecialTokens = false } = {}) => guarded(() => engine.decode(ids, skipSpecialTokens)),
    tokenToId: (token) => engine.tokenToId(token),
    idToToken: (id) => engine.idToToken(id),
    vocabSize: engine.vocabSize,
    idCount: idCount(modelIds, whole, engine),
    specialTokens: specialTokens(whole, special, engine),
    paddingSide: paddingSide(dir, config),
    files: files.flat(),
    dir,
    digest: createHash("sha256").update(bytes).digest("hex"),
    engine: engine.name,
  };
}

/** Halves of surrogate pairs are no Unicode: each becomes U+FFFD, so that the engines cannot differ in them. */
const unicode = (text: string): string => text.toWellFormed();

async function createEngine(
  path: string,
  json: Record<string, unknown>,
  bytes: Uint8Array,
  wanted: LoadTokenizerOptions["engine"],
): Promise<TokenizerEngine> {
  const loaded = wanted === "js" ? { reason: "", remedy: "" } : loadNative();
  if (wanted === "native" && "reason" in loaded) {
    throw new MedgptError(`the native tokenizer was asked for, but ${loaded.reason}; ${loaded.remedy}`);
  }
  try {
    return "reason" in loaded ? jsEngine(json) : nativeEngine(loaded.native, bytes);
  } catch (cause) {
    throw new InputError(
      `is not a usable tokenizer (${problemOf(cause)}); fetch it anew or save it again with a current transformers`,
      { place: path, cause },
    );
  }
}

function problemOf(cause: unknown): string {
  return String((cause as Error | undefined)?.message ?? cause).split("\n")[0]!;
}

/**
 * One more than the largest id of the model; ids may have gaps. Engines are made for what they write themselves: one
 * allocates by the largest id, the other takes -1 for an id.
 * @throws InputError for an id that no tokenizer has
 */
function checkIds(path: string, json: Record<string, unknown>): number {
  const { vocab, unk_id: unknown } = json["model"] as Record<string, unknown>;
  const check = (what: string, id: unknown, limit: number): number => {
    if (Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < limit) return id as number;
    throw new InputError(`expected the id of ${what} to be from 0 to ${limit - 1}, got ${describeJson(id)}`, {
      place: path,
    });
  };
  for (const token of addedTokens(json)) check(describeJson(token["content"]), token["id"], MAX_IDS);
  for (const [token, id] of templateIds(json["post_processor"])) check(describeJson(token), id, MAX_IDS);
  // Unigram has a list of pieces, the others an object of ids.
  if (Array.isArray(vocab)) {
    if (unknown !== undefined && unknown !== null) check("unknown pieces (unk_id)", unknown, vocab.length);
    return vocab.length;
  }
  let count = 0;
  for (const [token, id] of isJsonObject(vocab) ? Object.entries(vocab) : [])
    count = Math.max(count, check(describeJson(token), id, MAX_IDS) + 1);
  return count;
}

/**
 * Checks what stands for a space, also in sequences. The crate takes one character alone; the other engine would put a
 * text of any length in place of every space.
 */
function checkMetaspace(path: string, part: unknown): void {
  if (!isJsonObject(part)) return;
  const { type, replacement, pretokenizers, decoders } = part;
  if (type === "Metaspace" && (typeof replacement !== "string" || [...replacement].length !== 1))
    throw new InputError(
      `expected the replacement of Metaspace to be one character, got ${describeJson(replacement)}`,
      { place: path },
    );
  for (const parts of [pretokenizers, decoders])
    if (Array.isArray(parts)) for (const inner of parts) checkMetaspace(path, inner);
}

/** The special tokens that a post-processor writes, with their ids. */
function templateIds(processor: unknown): [token: string, id: unknown][] {
  if (!isJsonObject(processor)) return [];
  const { processors, special_tokens: tokens } = processor;
  const own = isJsonObject(tokens) ? Object.entries(tokens) : [];
  return [
    ...(Array.isArray(processors) ? processors.flatMap(templateIds) : []),
    ...own.flatMap(([token, value]) =>
      isJsonObject(value) && Array.isArray(value["ids"])
        ? value["ids"].map((id): [string, unknown] => [token, id])
        : [],
    ),
  ];
}

/** The same with added tokens, whose ids the engine decides. */
function idCount(count: number, json: Record<string, unknown>, engine: TokenizerEngine): number {
  for (const { content } of addedTokens(json))
    if (typeof content === "string") count = Math.max(count, (engine.tokenToId(content) ?? -1) + 1);
  return count;
}

function addedTokens(json: Record<string, unknown>): Record<string, unknown>[] {
  const added = json["added_tokens"];
  return Array.isArray(added) ? added.filter(isJsonObject) : [];
}

/** Added tokens that are marked as special, or that the folder names for a purpose. */
function specialTokens(
  json: Record<string, unknown>,
  named: Readonly<Record<string, number | undefined>>,
  engine: TokenizerEngine,
): ReadonlyMap<string, number> {
  const tokens = new Map<string, number>();
  for (const { content, special } of addedTokens(json)) {
    const id = typeof content === "string" ? engine.tokenToId(content) : undefined;
    if (id !== undefined && (special === true || Object.values(named).includes(id))) tokens.set(content as string, id);
  }
  return tokens;
}

/** The ids of bos, eos, pad and unk; undefined for one that the folder does not name. */
async function specialTokenIds(
  { dir, config, map }: TokenizerJsons,
  engine: TokenizerEngine,
): Promise<Pick<Tokenizer, "bosId" | "eosId" | "padId" | "unkId">> {
  const modelConfig = (await readJsonObject(join(dir, "config.json"))) ?? {};
  // transformers lets the map win over configs from before added_tokens_decoder, and does not read it otherwise.
  const sources: [string, Readonly<Record<string, unknown>>][] = [["tokenizer_config.json", config]];
  if (isLegacy(config)) sources.unshift(["special_tokens_map.json", map]);
  else sources.push(["special_tokens_map.json", map]);

  const idOf = (name: "bos" | "eos" | "pad" | "unk"): number | undefined => {
    const key = `${name}_token`;
    for (const [file, values] of sources) {
      const value = values[key];
      if (value === undefined || value === null) continue;
      const token = isJsonObject(value) ? value["content"] : value;
      if (typeof token !== "string") {
        throw new InputError(
          `expected ${key} to be a string or an object with a string "content", got ${describeJson(value)}`,
          { place: join(dir, file) },
        );
      }
      const id = engine.tokenToId(token);
      if (id === undefined) {
        throw new InputError(
          `names the ${key} ${describeJson(token)}, which tokenizer.json does not have; add it there (transformers: add_special_tokens, save_pretrained) or take the key out`,
          { place: join(dir, file) },
        );
      }
      return id;
    }
    const id = modelConfig[`${key}_id`];
    const [first] = Array.isArray(id) ? (id as unknown[]) : [id]; // Llama 3 lists several ends of text
    const isId = Number.isSafeInteger(first) && (first as number) >= 0 && (first as number) < 2 ** 31;
    return isId && engine.idToToken(first as number) !== undefined ? (first as number) : undefined;
  };
  return { bosId: idOf("bos"), eosId: idOf("eos"), padId: idOf("pad"), unkId: idOf("unk") };
}

function paddingSide(dir: string, config: Record<string, unknown>): "left" | "right" {
  const side = config["padding_side"];
  if (side === "left" || side === "right") return side;
  if (side !== undefined && side !== null) {
    throw new InputError(`expected padding_side to be "left" or "right", got ${describeJson(side)}`, {
      place: join(dir, "tokenizer_config.json"),
    });
  }
  const tokenizerClass = config["tokenizer_class"];
  return typeof tokenizerClass === "string" && LEFT_PADDING.test(tokenizerClass) ? "left" : "right";
}
