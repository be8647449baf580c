/** Reads a configuration file, keeping the place of every key so that an error can point at it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, parse } from "node:path";
import { fileURLToPath } from "node:url";

import { InputError, nestsTooDeeply } from "@medgpt/artifacts";
import { isMap, isScalar, LineCounter, parseDocument, type Document } from "yaml";

import { scanJson } from "../json/scan-json.js";

export interface ConfigEntry {
  readonly key: string;
  readonly value: unknown;
  /** file:line:column of the key. */
  readonly place: string;
}

/** All flags with a sentence each are 30 KB. */
const MAX_BYTES = 1 << 20;

const PRESET = "medgpt:";
const ENDINGS = [".json", ".yaml", ".yml"];

/**
 * The file that the value of --config means: a preset of the command's package for medgpt:NAME, else the value itself.
 * @throws InputError where there is no such preset, or where the value names a preset and no file of that name exists
 */
export function configPath(value: string, presets: URL | undefined): string {
  const dir = presets === undefined ? undefined : fileURLToPath(presets);
  const files = dir === undefined ? [] : readdirSync(dir).filter((file) => ENDINGS.includes(extname(file)));
  const known = files.map((file) => PRESET + parse(file).name).sort();
  const nameOf = (path: string): string => (ENDINGS.includes(extname(path)) ? parse(path).name : parse(path).base);
  if (value.startsWith(PRESET)) {
    const name = value.slice(PRESET.length);
    const found = files.find((file) => parse(file).name === name || file === name);
    if (dir !== undefined && found !== undefined) return join(dir, found);
    const there = known.length === 0 ? "this command has none" : `there are ${known.join(" and ")}`;
    throw new InputError(`no preset is called ${JSON.stringify(name)}; ${there}`, { place: "--config" });
  }
  const meant = PRESET + nameOf(value);
  if (known.includes(meant) && statSync(value, { throwIfNoEntry: false }) === undefined)
    throw new InputError(`there is no file ${value}; for the preset of that name give --config ${meant}`, {
      place: "--config",
    });
  return value;
}

/** The entries of the JSON or YAML file `path`, whose ending says which. Errors carry file:line:column. */
export function readConfigFile(path: string, readText = readSmallFile): ConfigEntry[] {
  const ending = extname(path).toLowerCase();
  if (!ENDINGS.includes(ending)) {
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
    return `${path}:${Math.max(1, line)}:${Math.max(1, col)}`; // an empty file has no lines
  };

  if (nestsTooDeeply(text)) throw new InputError("expected flags and values, but it is nested deeply", { place: path });
  // JSON is YAML, so one parser gives the places in both; but YAML forgives what JSON does not.
  const options = { lineCounter: lines, prettyErrors: false, logLevel: "error" } as const;
  const document = parsed(path, () => parseDocument(text, options));
  if (ending === ".json") {
    try {
      JSON.parse(text);
    } catch (cause) {
      const offset = scanJson(text).errorAt ?? text.length;
      throw new InputError(`not JSON: ${(cause as Error).message}`, { place: placeAt(offset), cause });
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
  const values = parsed(path, () => {
    const made = (document as Document).toJS() as Record<string, unknown>;
    JSON.stringify(made); // an alias of what it stands in has no end
    return made;
  });
  return document.contents.items.map((pair) => {
    const offset = isScalar(pair.key) ? (pair.key.range?.[0] ?? 0) : 0;
    const key = isScalar(pair.key) ? String(pair.key.value) : "?";
    return { key, value: values[key], place: placeAt(offset) };
  });
}

function readSmallFile(path: string): string {
  const info = statSync(path);
  // A pipe is not opened, because that waits for who writes to it.
  if (!info.isFile()) throw new Error(`it is ${info.isDirectory() ? "a folder" : "a pipe or device"}`);
  if (info.size > MAX_BYTES) throw new Error(`it has ${info.size} bytes, the limit is ${MAX_BYTES}`);
  return readFileSync(path, "utf8");
}

/** What the parser gives; it throws errors of its own for aliases without an anchor or end, and for deep nesting. */
function parsed<T>(path: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw new InputError(`not usable: ${(cause as Error).message}`, { place: path, cause });
  }
}
