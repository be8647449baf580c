/**
 * Tokens that a folder names outside tokenizer.json: added_tokens_decoder and the special tokens of tokenizer_config.json,
 * special_tokens_map.json and added_tokens.json. They are added as transformers 5 adds them (TokenizersBackend and
 * _from_pretrained there): in the order of their ids, then special tokens that no file gives an id, at the next free ones.
 * Other than there, the beginning and end of text, padding and the unknown token are never new.
 */
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import type { Warn } from "../json/known-keys.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";

type Json = Readonly<Record<string, unknown>>;

/** The JSON files of a tokenizer's folder; empty objects for those that are not there. */
export interface TokenizerJsons {
  readonly dir: string;
  /** tokenizer.json */
  readonly tokenizer: Json;
  /** tokenizer_config.json */
  readonly config: Json;
  /** special_tokens_map.json, which transformers reads where the configuration has no added_tokens_decoder. */
  readonly map: Json;
}

/** An element of tokenizer.json's added_tokens. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

const CONFIG = "tokenizer_config.json";
const MAP = "special_tokens_map.json";
const ADDED = "added_tokens.json";

/** The special tokens with a name, in transformers' order. */
const NAMED = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"] as const;

/** What a model has to know: a new one would stand for nothing. */
const NEEDED: readonly string[] = ["bos_token", "eos_token", "unk_token", "pad_token"];

const isNamed = (key: string): boolean => (NAMED as readonly string[]).includes(key);

/** What to do about a token that cannot be had. */
export const SAVE_AGAIN =
  "save the tokenizer again with a current transformers (AutoTokenizer.from_pretrained(folder).save_pretrained(folder))";

/** Whether transformers reads special_tokens_map.json and added_tokens.json. */
export function isLegacy(config: Json): boolean {
  return !isJsonObject(config["added_tokens_decoder"]);
}

/**
 * tokenizer.json's added_tokens with those of the other files; undefined where these say nothing that is not there.
 * @param warn told of special tokens that no file gives an id
 * @throws InputError naming file and key for ids that contradict tokenizer.json or are not the next free ones
 */
export async function mergeAddedTokens(jsons: TokenizerJsons, warn: Warn): Promise<readonly AddedToken[] | undefined> {
  const { dir, tokenizer, config } = jsons;
  // What is no list is left to the engine, which refuses it.
  if (!Array.isArray(tokenizer["added_tokens"] ?? [])) return undefined;
  const own = addedTokens(tokenizer);
  const tokens = new Map(own.map((token) => [token.content, token]));
  const named = namedTokens(jsons);
  const names = new Set(named.map(({ content }) => content));
  const ids = new Ids(tokenizer, own);
  let changed = false;
  const put = (token: AddedToken): void => {
    if (JSON.stringify(tokens.get(token.content)) === JSON.stringify(token)) return;
    tokens.set(token.content, token);
    changed = true;
  };

  for (const { place, key, id, value } of await tokensWithIds(jsons, names)) {
    const token = { id, ...value, special: value.special || names.has(value.content) };
    const problem = ids.problemOf(token.content, id);
    if (problem !== undefined)
      throw new InputError(`${key}: gives ${describeJson(token.content)} the id ${id}, but ${problem}; ${SAVE_AGAIN}`, {
        place: join(dir, place),
      });
    ids.take(token.content, id);
    // The crate never takes back that a token is special.
    put({ ...token, special: token.special || tokens.get(token.content)?.special === true });
  }
  // Before added_tokens_decoder, the names say which of tokenizer.json's tokens are special.
  if (isLegacy(config)) for (const token of own) if (names.has(token.content)) put({ ...token, special: true });
  for (const { place, key, ...value } of [...named, ...extraTokens(jsons)]) {
    if (tokens.has(value.content)) continue;
    const known = ids.of(value.content);
    if (known === undefined && NEEDED.includes(key)) continue; // refused by whoever looks for its id
    const id = known ?? ids.next();
    if (known === undefined)
      warn(
        `${join(dir, place)}: ${key} ${describeJson(value.content)} is in no vocabulary; it is added as the new token ${id}, as transformers adds it`,
      );
    ids.take(value.content, id);
    put({ id, ...value });
  }
  return changed ? [...tokens.values()].sort((a, b) => a.id - b.id) : undefined;
}

/** tokenizer.json's own added tokens, as they stand there. */
export function listAddedTokens(tokenizer: Json): Record<string, unknown>[] {
  const list: unknown = tokenizer["added_tokens"];
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}

/** The same with every field. Their ids were checked before. */
function addedTokens(tokenizer: Json): AddedToken[] {
  return listAddedTokens(tokenizer).map((token) => ({ id: token["id"] as number, ...tokenValue(token) }));
}

/** Ids as they are taken: by the model's vocabulary, and by added tokens. */
class Ids {
  readonly #added: Map<string, number>;
  readonly #taken: Map<number, string>;
  #vocab: ReadonlyMap<string, number> | undefined;
  #tokens: ReadonlyMap<number, string> | undefined;
  #next: number | undefined;

  constructor(
    readonly tokenizer: Json,
    own: readonly AddedToken[],
  ) {
    this.#added = new Map(own.map(({ content, id }) => [content, id]));
    this.#taken = new Map(own.map(({ content, id }) => [id, content]));
  }

  of(content: string): number | undefined {
    return this.#added.get(content) ?? this.#inVocab().get(content);
  }

  /** The id that the crate gives to a token that is not there. */
  next(): number {
    const size = this.#inVocab().size;
    return (this.#next ??= [...this.#taken.keys()].reduce((next, id) => Math.max(next, id + 1), size));
  }

  /** Why a token cannot have an id; undefined where it can. */
  problemOf(content: string, id: number): string | undefined {
    const known = this.of(content);
    if (known === id) return undefined;
    if (known !== undefined) return `tokenizer.json gives it ${known}`;
    this.#tokens ??= new Map([...this.#inVocab()].map(([token, at]) => [at, token]));
    const other = this.#taken.get(id) ?? this.#tokens.get(id);
    if (other !== undefined) return `tokenizer.json has ${describeJson(other)} there`;
    return id === this.next() ? undefined : `the next free id is ${this.next()}`;
  }

  take(content: string, id: number): void {
    this.#added.set(content, id);
    this.#taken.set(id, content);
    if (id === this.#next) this.#next++;
  }

  #inVocab(): ReadonlyMap<string, number> {
    if (this.#vocab !== undefined) return this.#vocab;
    const { vocab } = this.tokenizer["model"] as Json;
    // Unigram has a list of pieces, the others an object of ids.
    const entries = Array.isArray(vocab)
      ? vocab.map((piece: unknown, id) => [Array.isArray(piece) ? (piece[0] as string) : String(piece), id] as const)
      : Object.entries((vocab ?? {}) as Readonly<Record<string, number>>);
    return (this.#vocab = new Map(entries));
  }
}

type TokenValue = Omit<AddedToken, "id">;

/** A token of one of the other files, and where it stands. */
type Named = TokenValue & { readonly place: string; readonly key: string };

interface WithId {
  readonly place: string;
  readonly key: string;
  readonly id: number;
  readonly value: TokenValue;
}

/** The tokens that a file gives an id, in the order of their ids. */
async function tokensWithIds(jsons: TokenizerJsons, names: ReadonlySet<string>): Promise<WithId[]> {
  const { dir, config } = jsons;
  const found: WithId[] = [];
  if (!isLegacy(config)) {
    for (const [id, value] of Object.entries(config["added_tokens_decoder"] as Json)) {
      const key = `added_tokens_decoder[${describeJson(id)}]`;
      const at = join(dir, CONFIG);
      if (!isJsonObject(value) || typeof value["content"] !== "string" || value["content"] === "")
        throw new InputError(`${key}: expected an object with a string "content", got ${describeJson(value)}`, {
          place: at,
        });
      found.push({ place: CONFIG, key, id: idOf(id, key, at), value: tokenValue(value) });
    }
  } else {
    const special = new Set([...names, ...extraTokens(jsons).map(({ content }) => content)]);
    for (const [content, id] of Object.entries((await readJsonObject(join(dir, ADDED))) ?? {})) {
      const key = describeJson(content);
      const value = tokenValue({ content, special: special.has(content) });
      found.push({ place: ADDED, key, id: idOf(id, key, join(dir, ADDED)), value });
    }
    // tokenizer.json says more of a token than added_tokens.json.
    const own = new Map(addedTokens(jsons.tokenizer).map((token) => [token.content, token]));
    for (const [index, { value, ...rest }] of found.entries())
      found[index] = { ...rest, value: tokenValue(own.get(value.content) ?? value) };
  }
  return found.sort((a, b) => a.id - b.id);
}

function idOf(id: unknown, key: string, place: string): number {
  const number = typeof id === "string" && /^\d+$/.test(id) ? Number(id) : id;
  if (Number.isSafeInteger(number) && (number as number) >= 0) return number as number;
  throw new InputError(`${key}: expected an id from 0, got ${describeJson(id)}`, { place });
}

/** Special tokens with a name of their own: those of every tokenizer, and others whose key ends with _token. */
function namedTokens({ dir, config, map }: TokenizerJsons): Named[] {
  const found = new Map<string, Named>();
  for (const [place, values] of sourcesOf(config, map)) {
    const others = Object.keys(values).filter((key) => key.endsWith("_token") && !isNamed(key));
    const extra = values["extra_special_tokens"];
    const entries = [...NAMED, ...others].map((key) => [key, values[key]] as const);
    for (const [key, value] of [...entries, ...(isJsonObject(extra) ? Object.entries(extra) : [])]) {
      if (found.has(key) || value === undefined || value === null) continue;
      const standard = isNamed(key);
      // add_bos_token and the like are no tokens.
      if (!standard && typeof value !== "string" && !isJsonObject(value)) continue;
      found.set(key, { place, key, ...specialToken(value, key, join(dir, place)), special: true });
    }
  }
  const order = ({ key }: Named): number => (NAMED as readonly string[]).indexOf(key) >>> 0; // others last
  return [...found.values()].filter(({ content }) => content !== "").sort((a, b) => order(a) - order(b));
}

/** Special tokens without a name. */
function extraTokens({ dir, config, map }: TokenizerJsons): Named[] {
  const found: Named[] = [];
  for (const [place, values] of sourcesOf(config, map).reverse()) {
    const key = isFull(values["extra_special_tokens"]) ? "extra_special_tokens" : "additional_special_tokens";
    const list = values[key];
    if (list === undefined || list === null || isJsonObject(list)) continue;
    if (!Array.isArray(list))
      throw new InputError(`expected ${key} to be a list of tokens, got ${describeJson(list)}`, {
        place: join(dir, place),
      });
    for (const value of list as unknown[]) found.push({ place, key, ...specialToken(value, key, join(dir, place)) });
  }
  return found.filter(({ content }) => content !== "");
}

/** The files that name special tokens, the one that wins first. */
function sourcesOf(config: Json, map: Json): [file: string, values: Json][] {
  return isLegacy(config)
    ? [
        [MAP, map],
        [CONFIG, config],
      ]
    : [[CONFIG, config]];
}

function isFull(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}

/** A string, or an object with flags. */
function specialToken(value: unknown, key: string, place: string): TokenValue {
  const content = isJsonObject(value) ? value["content"] : value;
  if (typeof content !== "string")
    throw new InputError(
      `expected ${key} to be a string or an object with a string "content", got ${describeJson(value)}`,
      {
        place,
      },
    );
  return tokenValue({ special: true, ...(isJsonObject(value) ? value : { content }) });
}

function tokenValue(token: Json): TokenValue {
  return { content: token["content"] as string, ...flagsOf(token) };
}

/** The flags of a token with transformers' defaults. */
function flagsOf(token: Json): Omit<TokenValue, "content"> {
  const flag = (key: string, otherwise = false): boolean => (typeof token[key] === "boolean" ? token[key] : otherwise);
  const special = flag("special");
  return {
    single_word: flag("single_word"),
    lstrip: flag("lstrip"),
    rstrip: flag("rstrip"),
    normalized: flag("normalized", !special),
    special,
  };
}
