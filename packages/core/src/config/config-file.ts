/** Reads a configuration file, keeping the place of every key so that an error can point at it. */
import { readFileSync } from "node:fs";
import { extname } from "node:path";

import { InputError } from "@medgpt/artifacts";
import { isMap, isScalar, LineCounter, parseDocument } from "yaml";

export interface ConfigEntry {
  readonly key: string;
  readonly value: unknown;
  /** file:line:column of the key. */
  readonly place: string;
}

/** The entries of the JSON or YAML file `path`, whose ending says which. Errors carry file:line:column. */
export function readConfigFile(path: string, readText = (from: string) => readFileSync(from, "utf8")): ConfigEntry[] {
  const ending = extname(path).toLowerCase();
  if (![".json", ".yaml", ".yml"].includes(ending)) {
    throw new InputError(`expected a file ending in .json, .yaml or .yml, got ${path}`, { place: "--config" });
  }
  let text: string;
  try {
    text = readText(path);
  } catch (cause) {
    const message = `cannot read the configuration file ${path}: ${(cause as Error).message}`;
    throw new InputError(message, { place: "--config", cause });
  }
  const lines = new LineCounter();
  const placeAt = (offset: number): string => {
    const { line, col } = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };

  // JSON is YAML, so one parser gives the places in both; but YAML forgives what JSON does not.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (ending === ".json") {
    try {
      JSON.parse(text);
    } catch (cause) {
      const { message } = cause as Error;
      const position = /position (\d+)/.exec(message);
      const offset = position === null ? text.length : Number(position[1]);
      throw new InputError(`not JSON: ${message}`, { place: placeAt(offset), cause });
    }
  }
  const error = document.errors[0];
  if (error !== undefined) {
    throw new InputError(`not ${ending === ".json" ? "usable" : "YAML"}: ${error.message}`, {
      place: placeAt(error.pos[0]),
      cause: error,
    });
  }
  if (document.contents === null) return [];
  if (!isMap(document.contents)) {
    throw new InputError("expected an object whose keys are flag names", { place: path });
  }
  const values = document.toJS() as Record<string, unknown>;
  return document.contents.items.map((pair) => {
    const offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0;
    const key = isScalar(pair.key) ? String(pair.key.value) : "?";
    return { key, value: values[key], place: placeAt(offset) };
  });
}
