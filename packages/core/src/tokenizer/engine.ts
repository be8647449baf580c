/**
 * The two implementations of tokenizer.json: the Rust crate where @medgpt/native is built, else
 * @huggingface/tokenizers. Both give the same ids; the first is several times faster and uses all cores.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Tokenizer as JsTokenizer } from "@huggingface/tokenizers";
import type { NativeModule } from "../native.js";

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
