/** Jinja2's filters, with transformers' tojson. */
import { flagged, given, text, whole, wrong, type Named } from "./arguments.js";
import { holds } from "./conditions.js";
import { arithmetic } from "./operators.js";
import {
  bounded,
  capitalize,
  countCharacters,
  formatted,
  joined,
  padded,
  replace,
  splitLines,
  strip,
} from "./strings.js";
import {
  equal,
  Float,
  has,
  isTrue,
  itemAt,
  iterate,
  lookUp,
  numberOf,
  order,
  print,
  toJson,
  Tuple,
  Undefined,
  type Value,
} from "./values.js";

type Filter = (value: Value, args: Value[], named: Named) => Value;

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
  return /^[+-]?(\d+(?:\.\d*)?|\.\d+)(e[+-]?\d+)?$/.test(plain) ? Number(plain) : NaN;
}

/** Keeps the items of which a test (of an attribute, where `of` says so) is what is wanted. */
const selecting =
  (of: boolean, wanted: boolean): Filter =>
  (value, args) =>
    (isTrue(value) ? iterate(value) : []).filter((item) => {
      const [path, rest] = of ? [args[0], args.slice(1)] : [undefined, args];
      const subject = path === undefined ? item : attribute(item, path);
      const [name, ...more] = rest;
      const chosen = name === undefined ? isTrue(subject) : holds(text(name, "select"), subject, more);
      return chosen === wanted;
    });

const FILTERS: Readonly<Record<string, Filter>> = {
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
    bounded(rest.length * margin.length);
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
    joined(
      iterate(value)
        .map(byAttribute(named, args, 1))
        .map(print),
      print(given(named, args, 0, "d") ?? ""),
    ),
  last: (value) => itemAt(iterate(value), -1),
  length: (value) => {
    if (typeof value === "string") return countCharacters(value);
    if (value instanceof Undefined) return 0;
    return value instanceof Map ? value.size : Array.isArray(value) ? value.length : iterate(value).length;
  },
  list: (value) => [...iterate(value)],
  lower: (value) => print(value).toLowerCase(),
  map: (value, args, named) => {
    const items = isTrue(value) ? iterate(value) : [];
    const path = named.get("attribute");
    if (path === undefined) {
      const filter = filterOf(text(args[0] as Value, "map"));
      return items.map((item) => filter(item, args.slice(1), named));
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
  reverse: (value) => (typeof value === "string" ? iterate(value).reverse().join("") : [...iterate(value)].reverse()),
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
    const all = iterate(print(value)) as string[];
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
