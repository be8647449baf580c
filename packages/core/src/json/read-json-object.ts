import { InputError, readJsonText } from "@medgpt/artifacts";
import { JsonNumber, stringifyJson } from "./exact-json.js";
import { scanJson } from "./scan-json.js";

/**
 * Reads a JSON file whose top level must be an object; undefined if there is no such file.
 * @throws InputError with file:line:column where the text is not JSON, and as readJsonText does
 */
export async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  const text = await readJsonText(path);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const before = text.slice(0, scanJson(text).errorAt).split("\n");
    const place = `${path}:${before.length}:${before.at(-1)!.length + 1}`;
    throw new InputError("is not valid JSON from here on; write the file again or fetch it anew", { place, cause });
  }
  if (!isJsonObject(value)) {
    throw new InputError(`expected a JSON object, got ${describeJson(value)}`, { place: path });
  }
  return value;
}

export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber);
}

/** A value as an error message shows it: its JSON on one line, cut after 60 characters. */
export function describeJson(value: unknown): string {
  if (typeof value === "number" && !Number.isFinite(value)) return String(value); // 1e999 is JSON, Infinity is not
  let json: string;
  try {
    json = value === undefined ? "nothing" : stringifyJson(value);
  } catch {
    return "a value that is nested too deeply"; // JSON.parse goes deeper than JSON.stringify
  }
  return json.length > 60 ? `${json.slice(0, 60)}…` : json;
}
