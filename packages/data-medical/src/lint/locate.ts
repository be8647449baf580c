/**
 * Where a part of a parsed row stands in its JSON text. Rules look at parsed values, which know no places; the text is
 * searched only for what a finding points at.
 */

/** Keys and indices that lead from a row to a value in it. */
export type Path = readonly (string | number)[];

/** Offsets in UTF-16 units; `end` is exclusive. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/**
 * The place of a value in the text of a valid JSON value. A path that leads to nothing gives the deepest value on the way,
 * which is where the missing part should stand. Of a repeated key the last counts, as for JSON.parse.
 */
export function locate(source: string, path: Path): Range {
  let at = skipSpace(source, 0);
  for (const step of path) {
    const next = typeof step === "number" ? findElement(source, at, step) : findMember(source, at, step);
    if (next === undefined) break;
    at = next;
  }
  return { start: at, end: skipValue(source, at) };
}

/** Offset, in the JSON text, of the character at `index` of the string whose opening quote is at `quote`. */
export function offsetInString(source: string, quote: number, index: number): number {
  let at = quote + 1;
  for (let unit = 0; unit < index && source[at] !== '"'; unit++) at += unitLength(source, at);
  return at;
}

/** Characters that one UTF-16 unit of a string takes in its JSON text. */
function unitLength(source: string, at: number): number {
  if (source[at] !== "\\") return 1;
  return source[at + 1] === "u" ? 6 : 2;
}

function findMember(source: string, at: number, key: string): number | undefined {
  if (source[at] !== "{") return undefined;
  let found: number | undefined;
  at = skipSpace(source, at + 1);
  while (source[at] === '"') {
    const end = skipValue(source, at);
    const isKey = JSON.parse(source.slice(at, end)) === key;
    at = skipSpace(source, skipSpace(source, end) + 1); // past the colon
    if (isKey) found = at;
    at = skipSpace(source, skipValue(source, at));
    if (source[at] !== ",") break;
    at = skipSpace(source, at + 1);
  }
  return found;
}

function findElement(source: string, at: number, index: number): number | undefined {
  if (source[at] !== "[") return undefined;
  at = skipSpace(source, at + 1);
  for (let i = 0; source[at] !== "]"; i++) {
    if (i === index) return at;
    at = skipSpace(source, skipValue(source, at));
    if (source[at] !== ",") return undefined;
    at = skipSpace(source, at + 1);
  }
  return undefined;
}

function skipSpace(source: string, at: number): number {
  while (at < source.length && " \t\n\r\uFEFF".includes(source[at]!)) at++;
  return at;
}

const SCALAR_END = /[\s,\]}]|$/g;

/** The end of the value that begins at `at`. */
function skipValue(source: string, at: number): number {
  let depth = 0;
  for (; at < source.length; at++) {
    const char = source[at]!;
    if (char === '"') {
      for (at++; at < source.length && source[at] !== '"'; at++) if (source[at] === "\\") at++;
      if (depth === 0) return at + 1;
    } else if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") {
      if (--depth === 0) return at + 1;
    } else if (depth === 0) {
      SCALAR_END.lastIndex = at;
      return SCALAR_END.exec(source)!.index;
    }
  }
  return at;
}
