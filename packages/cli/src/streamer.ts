import type { Tokenizer } from "@medgpt/core/tokenizer";

/** Turns tokens into text as they come: a character whose bytes are not all there yet is held back. */
export class TextDecoderStreamer {
  #ids: number[] = [];
  #shown = "";

  constructor(readonly tokenizer: Tokenizer) {}

  /** The text that this token adds. */
  push(id: number): string {
    this.#ids.push(id);
    const text = this.tokenizer.decode(this.#ids, { skipSpecialTokens: true });
    if (text.endsWith("\uFFFD")) return "";
    const added = text.slice(this.#shown.length);
    this.#shown = text;
    // A line is a clean cut: what comes later does not change it, and decoding stays short.
    if (text.endsWith("\n")) [this.#ids, this.#shown] = [[], ""];
    return added;
  }
}
