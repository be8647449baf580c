import type { Tokenizer } from "../tokenizer/tokenizer.js";

/** Where a special token stands in a text, in UTF-16 units. */
export interface SpecialText {
  readonly token: string;
  readonly at: number;
}

/**
 * Finds the parts of a text that a tokenizer reads as its own special tokens. In what people wrote they forge a turn, or end an answer
 * in its middle.
 */
export function specialTextFinder({
  specialTokens,
}: Pick<Tokenizer, "specialTokens">): (text: string) => SpecialText[] {
  // Of two that begin alike the longer one is read.
  const tokens = [...specialTokens.keys()].filter((token) => token !== "").sort((a, b) => b.length - a.length);
  if (tokens.length === 0) return () => [];
  const pattern = new RegExp(tokens.map((token) => token.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")).join("|"), "g");
  return (text) => [...text.matchAll(pattern)].map(({ 0: token, index: at }) => ({ token, at }));
}
