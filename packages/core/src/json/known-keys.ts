/** What is done about every key of a JSON file in a model folder: a table a file, and one check of a file against its table. */
import { InputError, oneLine } from "@medgpt/artifacts";
import { describeJson } from "./read-json-object.js";

/** Which values of a key ask for nothing that is not done anyway, and why every other value is refused: what to do instead stands in `why` too. */
export interface RefusedKey {
  /** Null is idle in any case; with a list false, {} and [] are too. */
  readonly idle: readonly unknown[] | ((value: unknown) => boolean);
  readonly why: string;
}

/** A key is in one of the lists, or it is unknown. */
export interface KeyTable {
  /** Read and obeyed. */
  readonly acted: readonly string[];
  /** Without effect on what is computed or learnt, whatever the value. */
  readonly inert: readonly string[];
  /** Not obeyed, but with these values there is nothing to obey; any other is named. */
  readonly idle?: Readonly<Record<string, readonly unknown[]>>;
  /** Obeying them would change the weights or the text that is learnt, and nothing here does. */
  readonly refused: Readonly<Record<string, RefusedKey>>;
}

/** Takes a line for the user. */
export type Warn = (text: string) => void;

/** Lines about one file; a damaged file could have any number of keys. */
const MAX_LINES = 20;

/**
 * Goes through the keys of a file. Unknown keys with a value, other than null, false and empty ones, are named in one line
 * each; 0 and 1 are values, which may well mean something.
 * @param place the file
 * @throws InputError naming key and value where a refused key has a value that is not idle
 */
export function checkKeys(values: Readonly<Record<string, unknown>>, table: KeyTable, place: string, warn: Warn): void {
  const { acted, inert, idle = {}, refused } = table;
  const unknown: string[] = [];
  for (const [key, value] of Object.entries(values)) {
    const rule = Object.hasOwn(refused, key) ? refused[key] : undefined;
    if (rule !== undefined && !isIdle(rule, value))
      throw new InputError(`${key} ${describeJson(value)} is not supported: ${rule.why}`, { place });
    if (rule !== undefined || isEmpty(value) || acted.includes(key) || inert.includes(key)) continue;
    if (Object.hasOwn(idle, key) && idle[key]?.includes(value)) continue;
    unknown.push(`${describeJson(key)} is ${describeJson(value)}, which is not known here and not acted on`);
  }
  const more = unknown.length - MAX_LINES;
  const lines = unknown.slice(0, MAX_LINES);
  if (more > 0) lines.push(`${more} more keys are not known here and not acted on`);
  for (const line of lines) warn(oneLine(line, place));
}

function isIdle({ idle }: RefusedKey, value: unknown): boolean {
  if (value === undefined || value === null) return true;
  return typeof idle === "function" ? idle(value) : isEmpty(value) || idle.includes(value);
}

/** Null, false, and lists and objects without content ask for nothing. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}
