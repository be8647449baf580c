/** What is refused of a tokenizer.json before an engine is made of it: engines are made for files that they wrote themselves. */
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../json/read-json-object.js";
import { listAddedTokens } from "./added-tokens.js";

/** The models that tokenizer.json knows; files from before 2020 leave the type out. */
const MODEL_TYPES: readonly unknown[] = ["BPE", "Unigram", "WordPiece", "WordLevel", undefined];

/** Sixty times the largest vocabulary, of 262,144. */
const MAX_IDS = 2 ** 24;

/**
 * @param path of the file, for errors
 * @returns one more than the largest id of the model; ids may have gaps
 * @throws InputError for another kind of model, an id that no tokenizer has, and a text of several characters for a space
 */
export function checkTokenizerJson(path: string, json: Record<string, unknown>): number {
  const model = json["model"];
  if (!isJsonObject(model) || typeof model["vocab"] !== "object" || !MODEL_TYPES.includes(model["type"])) {
    throw new InputError(
      `expected a tokenizer with a BPE, Unigram, WordPiece or WordLevel model and its vocab, got the model ${describeJson(model)}`,
      { place: path },
    );
  }
  const ids = checkIds(path, json, model);
  for (const part of [json["pre_tokenizer"], json["decoder"]]) checkMetaspace(path, part);
  return ids;
}

/** One engine allocates by the largest id, the other takes -1 for an id. */
function checkIds(path: string, json: Record<string, unknown>, model: Record<string, unknown>): number {
  const { vocab, unk_id: unknown } = model;
  const check = (what: string, id: unknown, limit: number): number => {
    if (Number.isSafeInteger(id) && (id as number) >= 0 && (id as number) < limit) return id as number;
    throw new InputError(`expected the id of ${what} to be from 0 to ${limit - 1}, got ${describeJson(id)}`, {
      place: path,
    });
  };
  for (const token of listAddedTokens(json)) check(describeJson(token["content"]), token["id"], MAX_IDS);
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
 * Checks the character that stands for a space, also inside sequences. The crate takes one character alone; the other engine would put a
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
