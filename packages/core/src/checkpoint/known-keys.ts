/** What is done about every key of a JSON file in a model folder: a table a file, and one check of a file against its table. */
import { InputError } from "@medgpt/artifacts";
import { describeJson } from "./read-json-object.js";

/** Values of a key that change nothing, and why every other value is refused: what to do instead stands in `why` too. */
export interface RefusedKey {
  readonly idle: readonly unknown[] | ((value: unknown) => boolean);
  readonly why: string;
}

/** A key is in one of the three lists, or it is unknown. */
export interface KeyTable {
  /** Read and obeyed. */
  readonly acted: readonly string[];
  /** Without effect on what is computed or learnt, whatever the value. */
  readonly inert: readonly string[];
  /** Obeying them would change the weights or the text that is learnt, and nothing here does. */
  readonly refused: Readonly<Record<string, RefusedKey>>;
}

/** Takes a line for the user. */
export type Warn = (text: string) => void;

/**
 * Goes through the keys of a file. Unknown keys with a value, other than null, false and empty ones, are named in one line each.
 * @param place the file
 * @throws InputError naming key and value where a refused key has a value that is not idle
 */
export function checkKeys(
  values: Readonly<Record<string, unknown>>,
  { acted, inert, refused }: KeyTable,
  place: string,
  warn: Warn,
): void {
  for (const [key, value] of Object.entries(values)) {
    if (isEmpty(value) || acted.includes(key) || inert.includes(key)) continue;
    const rule = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (rule === undefined)
      warn(`${place}: "${key}" is ${describeJson(value)}, which is not known here and not acted on`);
    else if (!isIdle(rule, value))
      throw new InputError(`${key} ${describeJson(value)} is not supported: ${rule.why}`, { place });
  }
}

function isIdle({ idle }: RefusedKey, value: unknown): boolean {
  return typeof idle === "function" ? idle(value) : idle.includes(value);
}

/** Null, false, and lists and objects without content ask for nothing. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
