/**
 * The two implementations of tokenizer.json: the Rust crate where @medgpt/native is built, else
 * @huggingface/tokenizers. Both give the same ids; the first is several times faster and uses all cores.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Tokenizer as JsTokenizer } from "@huggingface/tokenizers";
import type { NativeModule } from "../run/native.js";

export interface TokenizerEngine {
  readonly name: "native" | "js";
  encodeBatch(texts: readonly string[], addSpecialTokens: boolean): Promise<Int32Array[]>;
  encode(text: string, addSpecialTokens: boolean): Int32Array;
  decode(ids: ArrayLike<number>, skipSpecialTokens: boolean): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  readonly vocabSize: number;
}

/** @param json tokenizer.json's bytes. Throws what the crate throws for one it does not understand. */
export function nativeEngine(native: NativeModule, json: Uint8Array): TokenizerEngine {
  const tokenizer = native.Tokenizer.fromJson(json);
  return {
    name: "native",
    async encodeBatch(texts, addSpecialTokens) {
      const { ids, lengths } = await tokenizer.encodeBatch([...texts], addSpecialTokens);
      let end = 0;
      return Array.from(lengths, (length) => ids.subarray(end, (end += length)));
    },
    encode: (text, addSpecialTokens) => Int32Array.from(tokenizer.encode(text, addSpecialTokens)),
    decode: (ids, skipSpecialTokens) => tokenizer.decode(Int32Array.from(ids), skipSpecialTokens),
    tokenToId: (token) => tokenizer.tokenToId(token) ?? undefined,
    idToToken: (id) => tokenizer.idToToken(id) ?? undefined,
    vocabSize: tokenizer.vocabSize(true),
  };
}

/** A decoder of the library. */
interface Decoder {
  readonly config?: { readonly type?: unknown };
  readonly decoders?: readonly Decoder[];
  text_decoder?: { decode(bytes: Uint8Array): string };
}

/**
 * Byte-fallback pieces in a row (Llama, Gemma) as the crate reads them: a text if all of them together are, else not one of
 * them is. The library would read what it can, and drop U+FEFF as a byte order mark.
 */
function bytesInARow(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return "\uFFFD".repeat(bytes.length);
  }
}

/** The longest that encodeBatch keeps other work waiting, but for a single text that takes longer. */
const TURN_MS = 20;

/** @param json tokenizer.json, parsed. */
export function jsEngine(json: object): TokenizerEngine {
  // tokenizer_config.json is left out on purpose: what it says of the pipeline is for slow tokenizers.
  const tokenizer = new JsTokenizer(json, { clean_up_tokenization_spaces: false });
  const decoder = tokenizer.decoder as Decoder | null;
  for (const part of [decoder, ...(decoder?.decoders ?? [])])
    if (part?.config?.type === "ByteFallback") part.text_decoder = { decode: bytesInARow };
  keepSingleWords(tokenizer);
  const encode = (text: string, addSpecialTokens: boolean): Int32Array =>
    Int32Array.from(tokenizer.encode(text, { add_special_tokens: addSpecialTokens }).ids);
  return {
    name: "js",
    async encodeBatch(texts, addSpecialTokens) {
      const batch: Int32Array[] = [];
      let turn = performance.now();
      for (const text of texts) {
        batch.push(encode(text, addSpecialTokens));
        if (performance.now() - turn > TURN_MS) {
          await nextTurn();
          turn = performance.now();
        }
      }
      return batch;
    },
    encode,
    decode: (ids, skipSpecialTokens) =>
      // The library throws for no ids at all.
      ids.length === 0
        ? ""
        : tokenizer.decode(Array.from(ids), {
            skip_special_tokens: skipSpecialTokens,
            clean_up_tokenization_spaces: false,
          }),
    tokenToId: (token) => tokenizer.token_to_id(token),
    idToToken: (id) => tokenizer.id_to_token(id),
    vocabSize: tokenizer.get_vocab(true).size,
  };
}

/** What the library does not declare of itself. */
interface Internals {
  readonly added_tokens_map: ReadonlyMap<string, { readonly single_word: boolean }>;
  readonly splitter_unnormalized: Splitter;
  readonly splitter_normalized: Splitter;
}
interface Splitter {
  split(text: string): string[];
}

/** A word character as the crate has it. */
const WORD = /[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200c\u200d]/u;

/** The library cuts single_word tokens out of words, too: these go back into the text around them. */
function keepSingleWords(tokenizer: JsTokenizer): void {
  const { added_tokens_map: tokens, splitter_unnormalized, splitter_normalized } = tokenizer as unknown as Internals;
  if (![...tokens.values()].some((token) => token.single_word)) return;
  for (const splitter of [splitter_unnormalized, splitter_normalized]) {
    const cut = splitter.split.bind(splitter);
    splitter.split = (text) => {
      const parts: string[] = [];
      let [at, open] = [0, false]; // open: the last part is text that goes on
      for (const part of cut(text)) {
        const [before, after] = [
          [...text.slice(0, at).slice(-2)].at(-1) ?? "",
          [...text.slice(at + part.length, at + part.length + 2)][0] ?? "",
        ];
        const token = tokens.get(part);
        at += part.length;
        const isText = token === undefined || (token.single_word && (WORD.test(before) || WORD.test(after)));
        if (isText && open) parts[parts.length - 1] += part;
        else parts.push(part);
        open = isText;
      }
      return parts;
    };
  }
}
