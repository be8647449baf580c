import { describeJson, parseJson as parse } from "@medgpt/core/json";
import { snippet } from "@medgpt/core/text";

/** Numbers stay as they are written; undefined where the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}

/** A value in a message. */
export function shown(value: unknown): string {
  return snippet(describeJson(value));
}
