import { describeJson, snippet } from "@medgpt/core/data";

/** undefined where the text is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A value in a message. */
export function shown(value: unknown): string {
  return snippet(describeJson(value));
}
