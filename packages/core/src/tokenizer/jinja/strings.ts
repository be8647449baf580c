/** Strings as Python has them: what is a space, where lines end, and pattern % values. */
import { text, whole, wrong } from "./arguments.js";
import { numberOf, print, represent, Tuple, typeName, type Value } from "./values.js";

export function capitalize(value: string): string {
  const [first = "", ...rest] = Array.from(value);
  return first.toUpperCase() + rest.join("").toLowerCase();
}

/** str.isspace(), which is not what JavaScript takes for space. */
const SPACE = "\\t\\n\\v\\f\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`);
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);
export const ONLY_SPACE = new RegExp(`^[${SPACE}]+$`);
const LINE_ENDS = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g; // eslint-disable-line no-control-regex

export function strip(value: string, chars: Value | undefined, start: boolean, end: boolean): string {
  const set = typeof chars === "string" ? new Set(chars) : undefined;
  const goes = (char: string | undefined): boolean =>
    char !== undefined && (set === undefined ? ONLY_SPACE.test(char) : set.has(char));
  const all = Array.from(value);
  let [from, to] = [0, all.length];
  while (start && from < to && goes(all[from])) from++;
  while (end && to > from && goes(all[to - 1])) to--;
  return all.slice(from, to).join("");
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
    return parts;
  }
  const parts = value.split(text(separator, "split"));
  if (limit >= 0 && parts.length > limit + 1) parts.push(parts.splice(limit).join(separator as string));
  return parts;
}

export function replace(value: string, old: string, by: string, count: number): string {
  if (count < 0) return value.replaceAll(old, () => by);
  for (let at = 0, done = 0; done < count; done++) {
    const found = value.indexOf(old, at);
    if (found < 0) break;
    value = value.slice(0, found) + by + value.slice(found + old.length);
    at = found + by.length;
  }
  return value;
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

export function partition(value: string, by: string, at: number): Value {
  if (at < 0) return Tuple.of<Value>(value, "", "");
  return Tuple.of<Value>(value.slice(0, at), by, value.slice(at + by.length));
}

/** A place in characters, as Python counts them. */
export function find(value: string, part: Value | undefined, how: "indexOf" | "lastIndexOf"): number {
  const at = value[how](text(part as Value, "find"));
  return at < 0 ? at : Array.from(value.slice(0, at)).length;
}

export function bounded(length: number): true {
  return length > 1 << 26 ? wrong("the text becomes too long") : true;
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
    /%([-+0 ]*)(\d*)(?:\.(\d+))?([a-zA-Z%(]|$)/g,
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
