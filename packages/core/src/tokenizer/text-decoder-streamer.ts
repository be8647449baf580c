import type { Tokenizer } from "./tokenizer.js";

/** A byte that stands for itself, in vocabularies that fall back on bytes. */
const BYTE = /^<0x[0-9A-F]{2}>$/i;

/**
 * Turns tokens into text as they come. What later tokens may change is held back: the last replacement character, which may
 * be the beginning of another one, and bytes in a row, which are a text only if all of them together are. Special tokens are
 * left out. The parts, those of `end` included, are the text that `decode` gives of all the tokens.
 */
export class TextDecoderStreamer {
  /** The newest tokens: the text of the last that had any and of all after it tells what the next one adds. */
  #ids: number[] = [];
  /** How much of their text has been given, or was before them. */
  #given = 0;
  #bytes = false;

  constructor(readonly tokenizer: Tokenizer) {}

  /** The text that is certain now that this token is there. */
  push(id: number): string {
    this.#ids.push(id);
    const alone = this.#decode([id]);
    this.#bytes = BYTE.test(this.tokenizer.idToToken(id) ?? "") || (this.#bytes && alone === "");
    if (this.#bytes) return "";
    const text = this.#decode(this.#ids);
    const settled = !text.endsWith("\uFFFD");
    const part = this.#give(settled ? text : text.slice(0, -1));
    // From here on this token is beginning enough: it has the blank that some decoders take off a text's first one.
    if (settled && alone !== "") [this.#ids, this.#given] = [[id], alone.length];
    return part;
  }

  /** The rest of the text, after the last token. */
  end(): string {
    return this.#give(this.#decode(this.#ids));
  }

  #give(text: string): string {
    const part = text.slice(this.#given);
    // The first token alone may end in half a character, which the text before made whole.
    this.#given = Math.max(this.#given, text.length);
    return part;
  }

  #decode(ids: readonly number[]): string {
    return this.tokenizer.decode(ids, { skipSpecialTokens: true });
  }
}
