/** What the rest of the toolkit knows of a tokenizer. */
export interface EncodeOptions {
  /** Whether the post-processor of tokenizer.json runs, which puts a beginning-of-text token first for some families. Default true. */
  readonly addSpecialTokens?: boolean;
}

export interface DecodeOptions {
  /** Whether special tokens are left out of the text. Default false. */
  readonly skipSpecialTokens?: boolean;
}

export interface Tokenizer {
  /** One array of ids a text. The native engine uses all cores. */
  encodeBatch(texts: readonly string[], options?: EncodeOptions): Promise<Int32Array[]>;
  encode(text: string, options?: EncodeOptions): Int32Array;
  decode(ids: ArrayLike<number>, options?: DecodeOptions): string;
  tokenToId(token: string): number | undefined;
  idToToken(id: number): string | undefined;
  /** Tokens including added ones, as Python's len(tokenizer). A model's embedding may have more rows. */
  readonly vocabSize: number;
  /** One more than the largest id: the rows that an embedding needs. More than vocabSize where ids have gaps. */
  readonly idCount: number;
  readonly bosId: number | undefined;
  readonly eosId: number | undefined;
  readonly padId: number | undefined;
  readonly unkId: number | undefined;
  /** Tokens that are never cut, wherever they stand in a text: what the model takes for its own marks. */
  readonly specialTokens: ReadonlyMap<string, number>;
  readonly paddingSide: "left" | "right";
  /** The files of `dir` that make up the tokenizer. */
  readonly files: readonly string[];
  readonly dir: string;
  /** SHA-256 of tokenizer.json with the tokens that other files add to it, in hex: equal digests give equal ids. */
  readonly digest: string;
  readonly engine: "native" | "js";
}
