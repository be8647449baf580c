import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, MedgptError } from "@medgpt/artifacts";
import type { Warn } from "../json/known-keys.js";
import { describeJson, readJsonObject } from "../json/read-json-object.js";
import { loadNative } from "../run/native.js";
import { listAddedTokens, mergeAddedTokens, SAVE_AGAIN } from "./added-tokens.js";
import { checkTokenizerJson } from "./check-tokenizer-json.js";
import { jsEngine, nativeEngine, type TokenizerEngine } from "./engine.js";
import { specialTokenIds, specialTokens } from "./special-tokens.js";
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
  const modelIds = checkTokenizerJson(path, json);
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
  const guarded = guard(path);
  guarded(() => checkAddedEnds(jsons, engine, special, warn));
  return {
    ...special,
    encodeBatch: (texts, { addSpecialTokens = true } = {}) =>
      guarded(() => engine.encodeBatch(texts.map(unicode), addSpecialTokens)),
    encode: (text, { addSpecialTokens = true } = {}) => guarded(() => engine.encode(unicode(text), addSpecialTokens)),
    decode: (ids, { skipSpecialTokens = false } = {}) => guarded(() => engine.decode(ids, skipSpecialTokens)),
    tokenToId: (token) => engine.tokenToId(token),
    idToToken: (id) => engine.idToToken(id),
    vocabSize: engine.vocabSize,
    idCount: idCount(modelIds, whole, engine),
    specialTokens: specialTokens(whole, special, engine),
    paddingSide: paddingSide(dir, config),
    files: await filesOf(dir),
    dir,
    digest: createHash("sha256").update(bytes).digest("hex"),
    engine: engine.name,
  };
}

/** The files of TOKENIZER_FILES that are there. */
async function filesOf(dir: string): Promise<string[]> {
  const isFile = (name: string): Promise<boolean> =>
    stat(join(dir, name)).then(
      (info) => info.isFile(),
      () => false,
    );
  const files = await Promise.all(TOKENIZER_FILES.map(async (name) => ((await isFile(name)) ? [name] : [])));
  return files.flat();
}

/** Runs a call of the engine, also one that returns a promise, and names the file where the engine fails. */
function guard(path: string): <T>(run: () => T) => T {
  const unusable = (cause: unknown): InputError =>
    new InputError(`cannot encode or decode with this tokenizer (${problemOf(cause)}); save it again`, {
      place: path,
      cause,
    });
  return <T>(run: () => T): T => {
    try {
      const result = run();
      if (!(result instanceof Promise)) return result;
      return result.catch((cause: unknown) => {
        throw unusable(cause);
      }) as T;
    } catch (cause) {
      throw unusable(cause);
    }
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

/** One more than the largest id of the model and of added tokens, whose ids the engine decides. */
function idCount(count: number, json: Record<string, unknown>, engine: TokenizerEngine): number {
  for (const { content } of listAddedTokens(json))
    if (typeof content === "string") count = Math.max(count, (engine.tokenToId(content) ?? -1) + 1);
  return count;
}

/** Classes of transformers 5 that pad on the left where tokenizer_config.json does not say. */
const LEFT_PADDING = /^(Llama|CodeLlama|Gemma|Cohere|XLNet)Tokenizer(Fast)?$/;

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
