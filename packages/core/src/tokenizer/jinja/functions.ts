/** Filters, tests, methods and operators of templates, as Jinja2 and Python have them. */
import { TemplateError } from "./template-error.js";
import {
  equal,
  Float,
  has,
  isTrue,
  itemAt,
  iterate,
  lookUp,
  Namespace,
  numberOf,
  order,
  print,
  represent,
  toJson,
  Tuple,
  typeName,
  Undefined,
  type Callable,
  type Value,
} from "./values.js";

type Named = ReadonlyMap<string, Value>;
type Filter = (
  value: Value,
  args: Value[],
  named: Named,
  call: (name: string, value: Value, args: Value[]) => boolean,
) => Value;

function wrong(message: string): never {
  throw new TemplateError(message);
}

function text(value: Value, what: string): string {
  return typeof value === "string" ? value : wrong(`${what} needs a string, got ${typeName(value)}`);
}

/** What a parameter was given, by its name or its place. */
function given(named: Named, args: readonly Value[], at: number, name: string): Value | undefined {
  return named.has(name) ? named.get(name) : args[at];
}

function flagged(named: Named, args: readonly Value[], at: number, name: string): boolean {
  return isTrue(given(named, args, at, name) ?? false);
}

function whole(value: Value | undefined, otherwise: number): number {
  if (value === undefined || value === null) return otherwise;
  return numberOf(value) ?? wrong(`expected a number, got ${typeName(value)}`);
}

function capitalize(value: string): string {
  const [first = "", ...rest] = Array.from(value);
  return first.toUpperCase() + rest.join("").toLowerCase();
}

/** str.isspace(), which is not what JavaScript takes for space. */
const SPACE = "\\t\\n\\v\\f\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`);
const LEADING_SPACE = new RegExp(`^[${SPACE}]+`);
const ONLY_SPACE = new RegExp(`^[${SPACE}]+$`);
const LINE_ENDS = /\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/g; // eslint-disable-line no-control-regex

function strip(value: string, chars: Value | undefined, start: boolean, end: boolean): string {
  const set = typeof chars === "string" ? new Set(chars) : undefined;
  const goes = (char: string | undefined): boolean =>
    char !== undefined && (set === undefined ? ONLY_SPACE.test(char) : set.has(char));
  const all = Array.from(value);
  let [from, to] = [0, all.length];
  while (start && from < to && goes(all[from])) from++;
  while (end && to > from && goes(all[to - 1])) to--;
  return all.slice(from, to).join("");
}

function split(value: string, separator: Value | undefined, limit: number): Value[] {
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

function replace(value: string, old: string, by: string, count: number): string {
  if (count < 0) return value.replaceAll(old, () => by);
  for (let at = 0, done = 0; done < count; done++) {
    const found = value.indexOf(old, at);
    if (found < 0) break;
    value = value.slice(0, found) + by + value.slice(found + old.length);
    at = found + by.length;
  }
  return value;
}

function splitLines(value: string, keepEnds: boolean): Value[] {
  const lines: string[] = [];
  let from = 0;
  for (const { 0: end, index } of value.matchAll(LINE_ENDS)) {
    lines.push(value.slice(from, index + (keepEnds ? end.length : 0)));
    from = index + end.length;
  }
  return from < value.length ? [...lines, value.slice(from)] : lines;
}

function partition(value: string, by: string, at: number): Value {
  if (at < 0) return Tuple.of<Value>(value, "", "");
  return Tuple.of<Value>(value.slice(0, at), by, value.slice(at + by.length));
}

/** A place in characters, as Python counts them. */
function find(value: string, part: Value | undefined, how: "indexOf" | "lastIndexOf"): number {
  const at = value[how](text(part as Value, "find"));
  return at < 0 ? at : Array.from(value.slice(0, at)).length;
}

function padded(width: Value | undefined): number {
  return bounded(whole(width, 0)) && whole(width, 0);
}

function zeroFilled(value: string, width: number): string {
  const sign = /^[+-]/.exec(value)?.[0] ?? "";
  return sign + value.slice(sign.length).padStart(width - sign.length, "0");
}

const STRING_METHODS: Readonly<Record<string, (value: string, args: Value[]) => Value>> = {
  upper: (s) => s.toUpperCase(),
  lower: (s) => s.toLowerCase(),
  title: (s) => s.replace(/\p{L}+/gu, capitalize),
  capitalize,
  strip: (s, [chars]) => strip(s, chars, true, true),
  lstrip: (s, [chars]) => strip(s, chars, true, false),
  rstrip: (s, [chars]) => strip(s, chars, false, true),
  split: (s, [separator, limit]) => split(s, separator, whole(limit, -1)),
  rsplit: (s, [separator, limit]) => {
    const parts = split(s, separator, -1) as string[];
    const most = whole(limit, -1);
    if (most < 0 || parts.length <= most + 1) return parts;
    const glue = typeof separator === "string" ? separator : " ";
    return [parts.slice(0, parts.length - most).join(glue), ...parts.slice(parts.length - most)];
  },
  splitlines: (s, [keep]) => splitLines(s, isTrue(keep ?? false)),
  partition: (s, [by]) => partition(s, text(by as Value, "partition"), s.indexOf(by as string)),
  rpartition: (s, [by]) => partition(s, text(by as Value, "rpartition"), s.lastIndexOf(by as string)),
  startswith: (s, [prefix]) =>
    (Array.isArray(prefix) ? prefix : [prefix as Value]).some((p) => s.startsWith(text(p, "startswith"))),
  endswith: (s, [suffix]) =>
    (Array.isArray(suffix) ? suffix : [suffix as Value]).some((p) => s.endsWith(text(p, "endswith"))),
  replace: (s, [old, by, count]) =>
    replace(s, text(old as Value, "replace"), text(by as Value, "replace"), whole(count, -1)),
  find: (s, [part]) => find(s, part, "indexOf"),
  rfind: (s, [part]) => find(s, part, "lastIndexOf"),
  index: (s, [part]) => {
    const at = find(s, part, "indexOf");
    return at < 0 ? wrong("the text does not have the part") : at;
  },
  count: (s, [part]) => s.split(text(part as Value, "count")).length - 1,
  join: (s, [items]) =>
    iterate(items as Value)
      .map((item) => text(item, "join"))
      .join(s),
  removeprefix: (s, [prefix]) => (s.startsWith(print(prefix as Value)) ? s.slice(print(prefix as Value).length) : s),
  removesuffix: (s, [suffix]) =>
    s.endsWith(print(suffix as Value)) ? s.slice(0, s.length - print(suffix as Value).length) : s,
  isdigit: (s) => /^\p{Nd}+$/u.test(s),
  isalpha: (s) => /^\p{L}+$/u.test(s),
  isalnum: (s) => /^[\p{L}\p{N}]+$/u.test(s),
  isnumeric: (s) => /^\p{N}+$/u.test(s),
  isspace: (s) => ONLY_SPACE.test(s),
  isupper: (s) => /[\p{Lu}\p{Lt}]/u.test(s) && s === s.toUpperCase(),
  islower: (s) => /\p{Ll}/u.test(s) && s === s.toLowerCase(),
  zfill: (s, [width]) => zeroFilled(s, padded(width)),
  ljust: (s, [width, fill]) => s.padEnd(padded(width), print(fill ?? " ")),
  rjust: (s, [width, fill]) => s.padStart(padded(width), print(fill ?? " ")),
};

/** A method of a value, or undefined. Those that would change what they are of are not there: templates are sandboxed. */
export function methodOf(value: Value, name: string): Callable | undefined {
  if (typeof value === "string") {
    const method = Object.hasOwn(STRING_METHODS, name) ? STRING_METHODS[name] : undefined;
    return method && ((args) => method(value, args));
  }
  if (value instanceof Map) {
    switch (name) {
      case "items":
        return () => [...value].map(([key, item]) => Tuple.of(key, item));
      case "keys":
        return () => [...value.keys()];
      case "values":
        return () => [...value.values()];
      case "get":
        return ([key, otherwise = null]) =>
          lookUp(value, key as Value) ?? (has(value, key as Value) ? null : otherwise);
    }
  }
  if (Array.isArray(value)) {
    if (name === "index") {
      return ([item]) => {
        const at = value.findIndex((other) => equal(other, item as Value));
        return at < 0 ? wrong("the list does not have the value") : at;
      };
    }
    if (name === "count") return ([item]) => value.filter((other) => equal(other, item as Value)).length;
  }
  return undefined;
}

function attribute(value: Value, path: Value): Value {
  let found: Value = value;
  for (const part of typeof path === "string" ? path.split(".") : [path]) {
    const key = typeof part === "string" && /^\d+$/.test(part) ? Number(part) : part;
    const next: Value | undefined =
      found instanceof Map
        ? (lookUp(found, key) ?? undefined)
        : Array.isArray(found) && typeof key === "number"
          ? found[key]
          : undefined;
    found = next === undefined ? (found instanceof Map && has(found, key) ? null : new Undefined(String(part))) : next;
  }
  return found;
}

function folded(value: Value, ignoreCase: boolean): Value {
  return ignoreCase && typeof value === "string" ? value.toLowerCase() : value;
}

function sorted(values: Value[], by: (value: Value) => Value, ignoreCase: boolean, reverse: boolean): Value[] {
  const compare = (a: Value, b: Value): number => order(folded(by(a), ignoreCase), folded(by(b), ignoreCase));
  return [...values].sort((a, b) => (reverse ? compare(b, a) : compare(a, b)));
}

function arithmetic(name: string, result: number, ...from: Value[]): Value {
  if (!Number.isFinite(result) && name !== "float") wrong(`${name}: no number comes out`);
  return from.some((value) => value instanceof Float) ? new Float(result) : result;
}

const byAttribute = (named: Named, args: readonly Value[], at: number): ((value: Value) => Value) => {
  const path = given(named, args, at, "attribute");
  return path === undefined || path === null ? (value) => value : (value) => attribute(value, path);
};

const extreme =
  (largest: boolean): Filter =>
  (value, args, named) =>
    itemAt(sorted(iterate(value), byAttribute(named, args, 1), !flagged(named, args, 0, "case_sensitive"), largest), 0);

/** What int() and float() read of a text; NaN where it is no number. */
function numberIn(value: string, base = 10): number {
  const plain = strip(value, null, true, true)
    .replace(/(?<=\w)_(?=\w)/g, "")
    .toLowerCase();
  const [, sign = "", digits = ""] = /^([+-]?)(?:0[xob])?([\da-z]+)$/.exec(plain) ?? [];
  if (base !== 10) return Number.parseInt(sign + digits, base);
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/.test(plain) ? Number(plain) : NaN;
}

/** Keeps the items of which a test (of an attribute, where `of` says so) is what is wanted. */
const selecting =
  (of: boolean, wanted: boolean): Filter =>
  (value, args, _, test) =>
    (isTrue(value) ? iterate(value) : []).filter((item) => {
      const [path, rest] = of ? [args[0], args.slice(1)] : [undefined, args];
      const subject = path === undefined ? item : attribute(item, path);
      const [name, ...more] = rest;
      const holds = name === undefined ? isTrue(subject) : test(text(name, "select"), subject, more);
      return holds === wanted;
    });

export const FILTERS: Readonly<Record<string, Filter>> = {
  abs: (value) => arithmetic("abs", Math.abs(numberOf(value) ?? wrong("abs needs a number")), value),
  attr: (value, [name]) => attribute(value, name as Value),
  capitalize: (value) => capitalize(print(value)),
  default: (value, args, named) => {
    if (!(value instanceof Undefined) && (isTrue(value) || !flagged(named, args, 1, "boolean"))) return value;
    const otherwise = given(named, args, 0, "default_value");
    return otherwise === undefined ? "" : otherwise;
  },
  dictsort: (value, args, named) => {
    const entries =
      value instanceof Map
        ? [...value].map(([key, item]) => Tuple.of(key, item) as Value)
        : wrong("dictsort needs a dict");
    const at = given(named, args, 1, "by") === "value" ? 1 : 0;
    return sorted(
      entries,
      (pair) => (pair as Value[])[at] as Value,
      !flagged(named, args, 0, "case_sensitive"),
      flagged(named, args, 2, "reverse"),
    );
  },
  escape: (value) =>
    print(value).replace(
      /[&<>'"]/g,
      (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" })[char] as string,
    ),
  first: (value) => itemAt(iterate(value), 0),
  float: (value, args, named) => {
    const number = typeof value === "string" ? numberIn(value) : (numberOf(value) ?? NaN);
    return new Float(Number.isNaN(number) ? whole(given(named, args, 0, "default"), 0) : number);
  },
  format: (value, args, named) =>
    named.size > 0 ? wrong("format takes values by place") : formatted(print(value), args),
  indent: (value, args, named) => {
    const width = given(named, args, 0, "width");
    const margin = typeof width === "string" ? width : " ".repeat(padded(width ?? 4));
    const blank = flagged(named, args, 2, "blank");
    const [first = "", ...rest] = splitLines(print(value) + "\n", false) as string[];
    const lines = rest.map((line) => (line === "" && !blank ? line : margin + line));
    return (flagged(named, args, 1, "first") ? margin : "") + [first, ...lines].join("\n");
  },
  int: (value, args, named) => {
    const number =
      typeof value === "string" ? numberIn(value, whole(given(named, args, 1, "base"), 10)) : numberOf(value);
    return Number.isFinite(number) ? Math.trunc(number as number) : whole(given(named, args, 0, "default"), 0);
  },
  items: (value) =>
    value instanceof Undefined
      ? []
      : value instanceof Map
        ? [...value].map(([key, item]) => Tuple.of(key, item) as Value)
        : wrong("items needs a dict"),
  join: (value, args, named) =>
    iterate(value)
      .map(byAttribute(named, args, 1))
      .map(print)
      .join(print(given(named, args, 0, "d") ?? "")),
  last: (value) => itemAt(iterate(value), -1),
  length: (value) => (value instanceof Undefined ? 0 : iterate(value).length),
  list: (value) => [...iterate(value)],
  lower: (value) => print(value).toLowerCase(),
  map: (value, args, named) => {
    const items = isTrue(value) ? iterate(value) : [];
    const path = named.get("attribute");
    if (path === undefined) {
      const filter = filterOf(text(args[0] as Value, "map"));
      return items.map((item) => filter(item, args.slice(1), named, () => wrong("map cannot select")));
    }
    return items.map((item) => {
      const found = attribute(item, path);
      return found instanceof Undefined ? (named.get("default") ?? found) : found;
    });
  },
  max: extreme(true),
  min: extreme(false),
  reject: selecting(false, false),
  rejectattr: selecting(true, false),
  replace: (value, [old, by, count]) =>
    replace(print(value), print(old as Value), print(by as Value), whole(count, -1)),
  reverse: (value) =>
    typeof value === "string" ? Array.from(value).reverse().join("") : [...iterate(value)].reverse(),
  round: (value, args, named) => {
    const number = numberOf(value) ?? wrong("round needs a number");
    const digits = whole(given(named, args, 0, "precision"), 0);
    const method = given(named, args, 1, "method") ?? "common";
    if (method !== "common" && method !== "ceil" && method !== "floor") wrong("round is common, ceil or floor");
    if (digits < 0 || digits > 60) wrong("round keeps up to 60 digits");
    if (method !== "common") return new Float(Math[method](number * 10 ** digits) / 10 ** digits);
    if (!(value instanceof Float)) return number;
    // Python rounds halves to the even neighbour, JavaScript away from zero; the digits after show what is one.
    const rounded = number.toFixed(digits);
    const half = /^50*$/.test(number.toFixed(digits + 40).slice(-40));
    const odd = half && Number(rounded.at(-1)) % 2 === 1;
    const even = odd ? (Number(rounded) - Math.sign(number) * 10 ** -digits).toFixed(digits) : rounded;
    return new Float(Number(even));
  },
  safe: (value) => value,
  select: selecting(false, true),
  selectattr: selecting(true, true),
  sort: (value, args, named) =>
    sorted(
      iterate(value),
      byAttribute(named, args, 2),
      !flagged(named, args, 1, "case_sensitive"),
      flagged(named, args, 0, "reverse"),
    ),
  string: (value) => print(value),
  sum: (value, args, named) => {
    const items = iterate(value).map(byAttribute(named, args, 0));
    const start = given(named, args, 1, "start") ?? 0;
    return arithmetic(
      "sum",
      items.reduce<number>((sum, item) => sum + whole(item, 0), whole(start, 0)),
      ...items,
      start,
    );
  },
  title: (value) => print(value).replace(/[^\s\-([{<]+/g, capitalize),
  tojson: (value, args, named) => {
    const indent = given(named, args, 1, "indent") ?? null;
    const [comma, colon] = (given(named, args, 2, "separators") ?? [indent === null ? ", " : ",", ": "]) as Value[];
    return toJson(value, {
      ensureAscii: flagged(named, args, 0, "ensure_ascii"),
      indent: indent === null ? undefined : padded(indent),
      separators: [text(comma ?? null, "separators"), text(colon ?? null, "separators")],
      sortKeys: flagged(named, args, 3, "sort_keys"),
    });
  },
  trim: (value, args, named) => strip(print(value), given(named, args, 0, "chars"), true, true),
  truncate: (value, args, named) => {
    const all = Array.from(print(value));
    const length = whole(given(named, args, 0, "length"), 255);
    if (all.length <= length + whole(given(named, args, 3, "leeway"), 5)) return all.join("");
    const end = print(given(named, args, 2, "end") ?? "...");
    const start = all.slice(0, length - Array.from(end).length).join("");
    const word = flagged(named, args, 1, "killwords") ? -1 : start.lastIndexOf(" ");
    return (word < 0 ? start : start.slice(0, word)) + end;
  },
  unique: (value, args, named) => {
    const by = byAttribute(named, args, 1);
    const ignoreCase = !flagged(named, args, 0, "case_sensitive");
    const items = iterate(value);
    const keys = items.map((item) => folded(by(item), ignoreCase));
    return items.filter((_, at) => keys.findIndex((other) => equal(other, keys[at] as Value)) === at);
  },
  upper: (value) => print(value).toUpperCase(),
  wordcount: (value) => (print(value).match(/\w+/gu) ?? []).length,
};

const ALIASES: Readonly<Record<string, string>> = { d: "default", e: "escape", count: "length" };

/** @throws TemplateError for a name that is none */
export function filterOf(name: string): Filter {
  const known = ALIASES[name] ?? name;
  return (Object.hasOwn(FILTERS, known) ? FILTERS[known] : undefined) ?? wrong(`there is no filter "${name}"`);
}

const isNumber = (value: Value): boolean => typeof value === "number" || value instanceof Float;

const TESTS: Readonly<Record<string, (value: Value, args: Value[]) => boolean>> = {
  boolean: (value) => typeof value === "boolean",
  callable: (value) => typeof value === "function" || value instanceof Undefined,
  defined: (value) => !(value instanceof Undefined),
  divisibleby: (value, [by]) => whole(value, 0) % whole(by, 1) === 0,
  eq: (value, [other]) => equal(value, other as Value),
  even: (value) => whole(value, 1) % 2 === 0,
  false: (value) => value === false,
  float: (value) => value instanceof Float,
  ge: (value, [other]) => order(value, other as Value) >= 0,
  gt: (value, [other]) => order(value, other as Value) > 0,
  in: (value, [all]) => contains(all as Value, value),
  integer: (value) => typeof value === "number",
  iterable: (value) =>
    typeof value === "string" || Array.isArray(value) || value instanceof Map || value instanceof Undefined,
  le: (value, [other]) => order(value, other as Value) <= 0,
  lower: (value) => print(value) === print(value).toLowerCase(),
  lt: (value, [other]) => order(value, other as Value) < 0,
  mapping: (value) => value instanceof Map,
  ne: (value, [other]) => !equal(value, other as Value),
  none: (value) => value === null,
  number: (value) => isNumber(value) || typeof value === "boolean",
  odd: (value) => Math.abs(whole(value, 0) % 2) === 1,
  sameas: (value, [other]) => value === other,
  sequence: (value) =>
    typeof value === "string" || Array.isArray(value) || value instanceof Map || value instanceof Undefined,
  string: (value) => typeof value === "string",
  true: (value) => value === true,
  undefined: (value) => value instanceof Undefined,
  upper: (value) => print(value) === print(value).toUpperCase(),
};
const TEST_ALIASES: Readonly<Record<string, string>> = { equalto: "eq", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge", "<": "lt", "<=": "le", greaterthan: "gt", lessthan: "lt" }; // prettier-ignore

export function holds(name: string, value: Value, args: Value[]): boolean {
  const known = TEST_ALIASES[name] ?? name;
  const test = Object.hasOwn(TESTS, known) ? TESTS[known] : undefined;
  return test === undefined ? wrong(`there is no test "${name}"`) : test(value, args);
}

export function contains(all: Value, value: Value): boolean {
  if (typeof all === "string") return all.includes(text(value, "in"));
  if (all instanceof Map) return has(all, value);
  return iterate(all).some((item) => equal(item, value));
}

/** a operator b, of numbers, strings and lists. */
export function operate(operator: string, a: Value, b: Value): Value {
  if (operator === "~") return print(a) + print(b);
  for (const value of [a, b]) if (value instanceof Undefined) wrong(`"${value.what}" is undefined`);
  if (operator === "+" && typeof a === "string" && typeof b === "string") return a + b;
  if (operator === "+" && Array.isArray(a) && Array.isArray(b)) return [...a, ...b];
  if (operator === "*" && (typeof a === "string" || Array.isArray(a)) && typeof b === "number")
    return typeof a === "string"
      ? a.repeat(Math.max(0, bounded(a.length * b) && b))
      : Array.from({ length: Math.max(0, b) }, () => a).flat(1);
  if (operator === "%" && typeof a === "string") return formatted(a, Array.isArray(b) ? b : [b]);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x === undefined || y === undefined) return wrong(`${typeName(a)} ${operator} ${typeName(b)} is not possible`);
  if (["/", "//", "%"].includes(operator) && y === 0) wrong("division by zero");
  switch (operator) {
    case "+":
      return arithmetic("+", x + y, a, b);
    case "-":
      return arithmetic("-", x - y, a, b);
    case "*":
      return arithmetic("*", x * y, a, b);
    case "/":
      return new Float(x / y);
    case "//":
      return arithmetic("//", Math.floor(x / y), a, b);
    case "%":
      return arithmetic("%", x - y * Math.floor(x / y), a, b);
    default:
      return Number.isInteger(x ** y) ? arithmetic("**", x ** y, a, b) : new Float(x ** y);
  }
}

function bounded(length: number): true {
  return length > 1 << 26 ? wrong("the text becomes too long") : true;
}

/** pattern % values, of text and whole numbers and decimals. */
function formatted(pattern: string, values: Value[]): string {
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

/** What every template has beside its variables. */
export const GLOBALS: Readonly<Record<string, Callable>> = {
  range: (args) => {
    const [from, to] = args.length > 1 ? [whole(args[0], 0), whole(args[1], 0)] : [0, whole(args[0], 0)];
    const step = whole(args[2], 1);
    if (step === 0) wrong("range has a step of 0");
    const count = Math.max(0, Math.ceil((to - from) / step));
    if (count > 100_000) wrong("the range is too long");
    return Array.from({ length: count }, (_, index) => from + index * step);
  },
  dict: (_, named) => new Map<Value, Value>(named),
  namespace: ([values], named) => {
    const space = new Namespace();
    for (const [key, value] of values instanceof Map ? values : []) space.values.set(String(key), value);
    for (const [key, value] of named) space.values.set(key, value);
    return space;
  },
  raise_exception: ([message]) => wrong(print(message ?? "")),
  strftime_now: ([format]) => strftime(new Date(), print(format ?? "")),
};

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]; // prettier-ignore

export function strftime(date: Date, format: string): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const parts: Readonly<Record<string, () => string>> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    B: () => MONTHS[date.getMonth()] as string,
    b: () => (MONTHS[date.getMonth()] as string).slice(0, 3),
    A: () => DAYS[date.getDay()] as string,
    a: () => (DAYS[date.getDay()] as string).slice(0, 3),
    H: () => two(date.getHours()),
    I: () => two(((date.getHours() + 11) % 12) + 1),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    p: () => (date.getHours() < 12 ? "AM" : "PM"),
    "%": () => "%",
  };
  return format.replace(/%([a-zA-Z%])/g, (all, code: string) => parts[code]?.() ?? all);
}
