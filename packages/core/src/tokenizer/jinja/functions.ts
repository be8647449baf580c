/** Filters, tests, methods and operators of templates, as Jinja2 and Python have them. */
import { TemplateError } from "./parse.js";
import {
  equal,
  Float,
  has,
  isTrue,
  iterate,
  lookUp,
  Namespace,
  numberOf,
  order,
  print,
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

function whole(value: Value | undefined, otherwise: number): number {
  if (value === undefined || value === null) return otherwise;
  return numberOf(value) ?? wrong(`expected a number, got ${typeName(value)}`);
}

function capitalize(value: string): string {
  const [first = "", ...rest] = Array.from(value);
  return first.toUpperCase() + rest.join("").toLowerCase();
}

function strip(value: string, chars: Value | undefined, start: boolean, end: boolean): string {
  const set = typeof chars === "string" ? new Set(chars) : undefined;
  const goes = (char: string | undefined): boolean =>
    char !== undefined && (set === undefined ? /^\s$/u.test(char) : set.has(char));
  const all = Array.from(value);
  let [from, to] = [0, all.length];
  while (start && from < to && goes(all[from])) from++;
  while (end && to > from && goes(all[to - 1])) to--;
  return all.slice(from, to).join("");
}

function split(value: string, separator: Value | undefined, limit: number): Value[] {
  if (separator === undefined || separator === null) {
    const parts: string[] = [];
    let rest = value.trimStart();
    while (rest !== "") {
      const end = rest.search(/\s/);
      if (end < 0 || (limit >= 0 && parts.length === limit)) {
        parts.push(limit >= 0 && parts.length === limit ? rest : rest.trimEnd());
        break;
      }
      parts.push(rest.slice(0, end));
      rest = rest.slice(end).trimStart();
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
  splitlines: (s) => s.replace(/\n$/, "").split("\n"),
  startswith: (s, [prefix]) =>
    (Array.isArray(prefix) ? prefix : [prefix as Value]).some((p) => s.startsWith(text(p, "startswith"))),
  endswith: (s, [suffix]) =>
    (Array.isArray(suffix) ? suffix : [suffix as Value]).some((p) => s.endsWith(text(p, "endswith"))),
  replace: (s, [old, by, count]) =>
    replace(s, text(old as Value, "replace"), text(by as Value, "replace"), whole(count, -1)),
  find: (s, [part]) => s.indexOf(text(part as Value, "find")),
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
  isspace: (s) => /^\s+$/u.test(s),
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

function sorted(values: Value[], by: (value: Value) => Value, ignoreCase: boolean, reverse: boolean): Value[] {
  const fold = (value: Value): Value => (ignoreCase && typeof value === "string" ? value.toLowerCase() : value);
  const compare = (a: Value, b: Value): number => order(fold(by(a)), fold(by(b)));
  return [...values].sort((a, b) => (reverse ? compare(b, a) : compare(a, b)));
}

function arithmetic(name: string, result: number, ...from: Value[]): Value {
  if (!Number.isFinite(result) && name !== "float") wrong(`${name}: no number comes out`);
  return from.some((value) => value instanceof Float) ? new Float(result) : result;
}

const byAttribute = (named: Named, args: Value[], at = 0): ((value: Value) => Value) => {
  const path = named.get("attribute") ?? args[at];
  return path === undefined || path === null ? (value) => value : (value) => attribute(value, path);
};

/** Keeps the items of which a test (of an attribute, where `of` says so) is what is wanted. */
const selecting =
  (of: boolean, wanted: boolean): Filter =>
  (value, args, _, test) =>
    iterate(value).filter((item) => {
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
  default: (value, [otherwise = ""], named) => {
    const falsy = named.get("boolean") ?? null;
    return value instanceof Undefined || (isTrue(falsy) && !isTrue(value))
      ? (named.get("default_value") ?? otherwise)
      : value;
  },
  dictsort: (value, _, named) => {
    const entries =
      value instanceof Map
        ? [...value].map(([key, item]) => Tuple.of(key, item) as Value)
        : wrong("dictsort needs a dict");
    const at = named.get("by") === "value" ? 1 : 0;
    return sorted(
      entries,
      (pair) => (pair as Value[])[at] as Value,
      !isTrue(named.get("case_sensitive") ?? false),
      isTrue(named.get("reverse") ?? false),
    );
  },
  escape: (value) =>
    print(value).replace(
      /[&<>'"]/g,
      (char) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", "'": "&#39;", '"': "&#34;" })[char] as string,
    ),
  first: (value) => iterate(value)[0] ?? new Undefined("first"),
  float: (value) => new Float(typeof value === "string" ? Number(value) || 0 : (numberOf(value) ?? 0)),
  indent: (value, [width], named) => {
    const margin = " ".repeat(whole(named.get("width") ?? width, 4));
    const lines = print(value).split("\n");
    const blank = isTrue(named.get("blank") ?? false);
    const rest = lines.slice(1).map((line) => (line === "" && !blank ? line : margin + line));
    return [(isTrue(named.get("first") ?? false) ? margin : "") + (lines[0] as string), ...rest].join("\n");
  },
  int: (value, [otherwise]) => {
    const number =
      typeof value === "string"
        ? /^\s*[+-]?\d+(\.\d*)?\s*$/.test(value)
          ? Number(value)
          : NaN
        : (numberOf(value) ?? NaN);
    return Number.isNaN(number) ? whole(otherwise, 0) : Math.trunc(number);
  },
  items: (value) =>
    value instanceof Undefined
      ? []
      : value instanceof Map
        ? [...value].map(([key, item]) => Tuple.of(key, item) as Value)
        : wrong("items needs a dict"),
  join: (value, [glue = ""], named) =>
    iterate(value)
      .map(byAttribute(named, [], 0))
      .map(print)
      .join(print(named.get("d") ?? glue)),
  last: (value) => iterate(value).at(-1) ?? new Undefined("last"),
  length: (value) => (value instanceof Undefined ? 0 : iterate(value).length),
  list: (value) => [...iterate(value)],
  lower: (value) => print(value).toLowerCase(),
  map: (value, args, named) => {
    const path = named.get("attribute");
    if (path === undefined)
      return iterate(value).map((item) =>
        filterOf(text(args[0] as Value, "map"))(item, args.slice(1), named, () => wrong("map cannot select")),
      );
    return iterate(value).map((item) => {
      const found = attribute(item, path);
      return found instanceof Undefined ? (named.get("default") ?? found) : found;
    });
  },
  max: (value, _, named) => sorted(iterate(value), byAttribute(named, []), true, true)[0] ?? new Undefined("max"),
  min: (value, _, named) => sorted(iterate(value), byAttribute(named, []), true, false)[0] ?? new Undefined("min"),
  reject: selecting(false, false),
  rejectattr: selecting(true, false),
  replace: (value, [old, by, count]) =>
    replace(print(value), print(old as Value), print(by as Value), whole(count, -1)),
  reverse: (value) =>
    typeof value === "string" ? Array.from(value).reverse().join("") : [...iterate(value)].reverse(),
  round: (value, [precision], named) => {
    const [number, digits] = [
      numberOf(value) ?? wrong("round needs a number"),
      whole(named.get("precision") ?? precision, 0),
    ];
    const scaled = number * 10 ** digits;
    const method = named.get("method") ?? "common";
    // Python rounds halves to the even neighbour.
    const even = Math.abs(scaled % 1) === 0.5 ? 2 * Math.round(scaled / 2) : Math.round(scaled);
    return new Float(
      (method === "ceil" ? Math.ceil(scaled) : method === "floor" ? Math.floor(scaled) : even) / 10 ** digits,
    );
  },
  safe: (value) => value,
  select: selecting(false, true),
  selectattr: selecting(true, true),
  sort: (value, _, named) =>
    sorted(
      iterate(value),
      byAttribute(named, []),
      !isTrue(named.get("case_sensitive") ?? false),
      isTrue(named.get("reverse") ?? false),
    ),
  string: (value) => print(value),
  sum: (value, _, named) => {
    const items = iterate(value).map(byAttribute(named, []));
    const start = named.get("start") ?? 0;
    return arithmetic(
      "sum",
      items.reduce<number>((sum, item) => sum + whole(item, 0), whole(start, 0)),
      ...items,
      start,
    );
  },
  title: (value) => print(value).replace(/[^\s\-([{<]+/g, capitalize),
  tojson: (value, [indent], named) => {
    const width = named.get("indent") ?? indent;
    return toJson(
      value,
      width === undefined || width === null ? undefined : whole(width, 0),
      isTrue(named.get("sort_keys") ?? false),
    );
  },
  trim: (value, [chars]) => strip(print(value), chars, true, true),
  truncate: (value, [length = 255, , end = "..."]) => {
    const all = Array.from(print(value));
    return all.length <= whole(length, 255) + 5
      ? all.join("")
      : all.slice(0, whole(length, 255) - Array.from(print(end)).length).join("") + print(end);
  },
  unique: (value) => iterate(value).filter((item, at, all) => all.findIndex((other) => equal(other, item)) === at),
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
  callable: (value) => typeof value === "function",
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

function formatted(pattern: string, values: Value[]): string {
  let at = 0;
  return pattern.replace(/%(%|s|d)/g, (_, kind: string) => (kind === "%" ? "%" : print(values[at++] ?? null)));
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
