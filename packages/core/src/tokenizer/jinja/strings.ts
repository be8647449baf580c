/** Strings as Python has them: what is a space, where lines end, and pattern % values. */
import { text, whole, wrong } from "./arguments.js";
import { spendOnItems, spendOnSearch, spendOnText } from "./steps.js";
import { numberOf, print, represent, Tuple, typeName, type Value } from "./values.js";

export function capitalize(value: string): string {
  const length = (value.codePointAt(0) ?? 0) > 0xffff ? 2 : 1;
  return value.slice(0, length).toUpperCase() + value.slice(length).toLowerCase();
}

/** str.isspace(), which is not what JavaScript takes for space. */
const SPACE = "\\t\\n\\v\\f\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`);
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);
export const ONLY_SPACE = new RegExp(`^[${SPACE}]+$`);
const LINE_ENDS = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g; // eslint-disable-line no-control-regex

export function strip(value: string, chars: Value | undefined, start: boolean, end: boolean): string {
  const set = typeof chars === "string" ? new Set(chars) : undefined;
  const goes = (char: string): boolean => (set === undefined ? ONLY_SPACE.test(char) : set.has(char));
  let [from, to] = [0, value.length];
  while (start && from < to) {
    const char = String.fromCodePoint(value.codePointAt(from)!);
    if (!goes(char)) break;
    from += char.length;
  }
  while (end && to > from) {
    // Two units are one character where they are a pair.
    const char = Array.from(value.slice(Math.max(from, to - 2), to)).at(-1)!;
    if (!goes(char)) break;
    to -= char.length;
  }
  return value.slice(from, to);
}

export function split(value: string, separator: Value | undefined, limit: number): Value[] {
  if (separator === undefined || separator === null) {
    const parts: string[] = [];
    let rest = value.replace(LEADING_SPACE, "");
    while (rest !== "") {
      const end = rest.search(SPACES);
      if (end < 0 || parts.length === limit) {
        parts.push(rest);
        break;
      }
      parts.push(rest.slice(0, end));
      rest = rest.slice(end).replace(LEADING_SPACE, "");
    }
    spendOnItems(parts.length);
    return parts;
  }
  spendOnSearch(value, text(separator, "split"));
  const parts = value.split(separator as string);
  spendOnItems(parts.length);
  if (limit >= 0 && parts.length > limit + 1) parts.push(parts.splice(limit).join(separator as string));
  return parts;
}

export function replace(value: string, old: string, by: string, count: number): string {
  spendOnSearch(value, old);
  // Nothing is found between all characters.
  const parts = old === "" ? ["", ...Array.from(value), ""] : value.split(old);
  spendOnItems(parts.length);
  const most = count < 0 ? parts.length - 1 : Math.min(count, parts.length - 1);
  bounded(value.length + most * (by.length - old.length));
  return [parts.slice(0, most + 1).join(by), ...parts.slice(most + 1)].join(old);
}

export function splitLines(value: string, keepEnds: boolean): Value[] {
  const lines: string[] = [];
  let from = 0;
  for (const { 0: end, index } of value.matchAll(LINE_ENDS)) {
    lines.push(value.slice(from, index + (keepEnds ? end.length : 0)));
    from = index + end.length;
  }
  return from < value.length ? [...lines, value.slice(from)] : lines;
}

export function partition(value: string, by: string, how: "indexOf" | "lastIndexOf"): Value {
  spendOnSearch(value, by);
  const at = value[how](by);
  if (at >= 0) return Tuple.of<Value>(value.slice(0, at), by, value.slice(at + by.length));
  return how === "indexOf" ? Tuple.of<Value>(value, "", "") : Tuple.of<Value>("", "", value);
}

/** A place in characters, as Python counts them. */
export function find(value: string, part: Value | undefined, how: "indexOf" | "lastIndexOf"): number {
  spendOnSearch(value, text(part as Value, "find"));
  const at = value[how](part as string);
  return at < 0 ? at : countCharacters(value.slice(0, at));
}

/** len(value) */
export function countCharacters(value: string): number {
  spendOnText(value.length);
  let count = value.length;
  for (let at = 0; at < value.length; at++) {
    if (value.codePointAt(at)! <= 0xffff) continue;
    count--;
    at++;
  }
  return count;
}

/** glue.join(parts) */
export function joined(parts: readonly string[], glue: string): string {
  bounded(parts.reduce((length, part) => length + part.length, glue.length * parts.length));
  return parts.join(glue);
}

/** A million tokens, the longest that models read, are 4 million characters or so. */
const MAX_LENGTH = 1 << 26;

export function bounded(length: number): true {
  return length > MAX_LENGTH ? wrong("the text becomes too long") : true;
}

export function padded(width: Value | undefined): number {
  return bounded(whole(width, 0)) && whole(width, 0);
}

export function zeroFilled(value: string, width: number): string {
  const sign = /^[+-]/.exec(value)?.[0] ?? "";
  return sign + value.slice(sign.length).padStart(width - sign.length, "0");
}

/** pattern % values, of text and whole numbers and decimals. */
export function formatted(pattern: string, values: Value[]): string {
  let at = 0;
  const done = pattern.replace(
    /%([-+0 ]*)((?:[1-9]\d*)?)(?:\.(\d+))?([a-zA-Z%(]|$)/g,
    (all, flags: string, width: string, digits: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      const value = at < values.length ? (values[at++] as Value) : wrong("the format has more places than values");
      let body: string;
      if (kind === "s" || kind === "r")
        body = (kind === "s" ? print(value) : represent(value)).slice(
          0,
          digits === undefined ? undefined : Number(digits),
        );
      else if (kind === "d" || kind === "i" || kind === "f") {
        const number = numberOf(value) ?? wrong(`the format ${all} needs a number, got ${typeName(value)}`);
        body = kind === "f" ? number.toFixed(Number(digits ?? 6)) : String(Math.trunc(number));
        if (number >= 0) body = (flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") + body;
        if (flags.includes("0") && !flags.includes("-")) return zeroFilled(body, padded(Number(width)));
      } else return wrong(`the format ${all} is not supported`);
      return flags.includes("-") ? body.padEnd(padded(Number(width))) : body.padStart(padded(Number(width)));
    },
  );
  return at < values.length ? wrong("the format has fewer places than values") : done;
}
