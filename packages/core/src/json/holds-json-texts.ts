import { InputError } from "@medgpt/artifacts";
import { isJsonObject } from "./read-json-object.js";
import type { Bytes } from "../text/decode-utf8.js";
import { readJsonValues } from "./read-json-values.js";
import { readChunks } from "../text/split-lines.js";

/** A value of this many mebibytes is no row of text; of other text that begins with a bracket no more is read. */
const MAX_CHUNKS = 64;

/**
 * Whether a file of plain text is JSON all through: a "text" in the object on every line that is not blank, or in every element
 * of one list. Other text is known by its first characters, so no more is read of it.
 * @throws InputError where the file cannot be read
 */
export async function holdsJsonTexts(file: string): Promise<boolean> {
  let ahead = 0; // since the last value
  const chunks = async function* (): AsyncGenerator<Bytes> {
    let first = true;
    for await (const chunk of readChunks(file)) {
      if (++ahead > MAX_CHUNKS || (first && !/^(?:\xef\xbb\xbf)?\s*[[{]/.test(chunk.toString("latin1", 0, 64)))) return;
      first = false;
      yield chunk;
    }
  };
  let found = false;
  try {
    for await (const { value } of readJsonValues(chunks(), file)) {
      ahead = 0;
      if (!isJsonObject(value) || typeof value["text"] !== "string") return false;
      found = true;
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return false; // said when the file is read
  }
  return found;
}

/** The message about such a file. */
export function jsonInText(file: string): string {
  return `${file}: every line is JSON with a "text", and a .txt file is read as it stands, field names too; give it a name that ends in .jsonl (a list: .json)`;
}
