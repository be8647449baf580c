/** Python's values as far as templates have them, and how Python prints and compares them. */
import { spend, spendOnItems, spendOnText } from "./steps.js";
import { TemplateError } from "./template-error.js";

/** A number that Python would call a float; whole JavaScript numbers are its integers. */
export class Float {
  constructor(readonly value: number) {}
}

export class Tuple extends Array<Value> {}

/** What a missing name or attribute gives: prints as nothing, and may not be used further. */
export class Undefined {
  constructor(readonly what: string) {}
}

/** `namespace(…)`: the one thing whose attributes templates may set. */
export class Namespace {
  readonly values = new Map<string, Value>();
}

export type Callable = (positional: Value[], named: Map<string, Value>) => Value;

export type Value =
  string | number | boolean | null | Float | Undefined | Namespace | Callable | Value[] | Map<Value, Value>;

/** A value of JSON or of the caller. Numbers that are not whole are floats. */
export function fromHost(value: unknown): Value {
  if (value === undefined) return null;
  if (typeof value === "number") return Number.isInteger(value) ? value : new Float(value);
  if (Array.isArray(value)) return value.map(fromHost);
  if (typeof value === "object" && value !== null) {
    if (value instanceof Float || value instanceof Undefined || value instanceof Namespace || value instanceof Map)
      return value as Value;
    return new Map(
      Object.entries(value)
        .filter(([, field]) => field !== undefined)
        .map(([key, field]) => [key, fromHost(field)]),
    );
  }
  return value as Value;
}

export function isTrue(value: Value): boolean {
  if (value instanceof Undefined || value === null) return false;
  if (value instanceof Float) return value.value !== 0;
  if (Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  return typeof value === "object" ? true : Boolean(value);
}

/** str(value) */
export function print(value: Value): string {
  if (typeof value === "string") return value;
  if (value instanceof Undefined) return "";
  return represent(value);
}

/** repr(value) */
export function represent(value: Value): string {
  spend();
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(BigInt(value));
  if (value instanceof Float) return printFloat(value.value);
  if (typeof value === "string") return quote(value);
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) return `(${value.map(represent).join(", ")}${value.length === 1 ? "," : ""})`;
  if (Array.isArray(value)) return `[${value.map(represent).join(", ")}]`;
  if (value instanceof Map)
    return `{${[...value].map(([key, item]) => `${represent(key)}: ${represent(item)}`).join(", ")}}`;
  return value instanceof Namespace ? "<Namespace>" : "<function>";
}

function printFloat(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e16 || size < 1e-4)) {
    const [digits, exponent] = value.toExponential().split("e") as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }
  return Object.is(value, -0) ? "-0.0" : Number.isInteger(value) ? `${value}.0` : String(value);
}

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function quote(text: string): string {
  spendOnItems(text.length);
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'";
  const body = Array.from(text, (char) => {
    if (char === mark) return `\\${char}`;
    const code = char.codePointAt(0) as number;
    if (SHORT[char] !== undefined) return SHORT[char];
    if (char === " " || !/[\p{C}\p{Z}]/u.test(char)) return char;
    const [letter, digits] =
      code < 0x100 ? (["x", 2] as const) : code < 0x10000 ? (["u", 4] as const) : (["U", 8] as const);
    return `\\${letter}${code.toString(16).padStart(digits, "0")}`;
  });
  return mark + body.join("") + mark;
}

/** The number that a value is to arithmetic; True is 1. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

export function equal(a: Value, b: Value): boolean {
  spend();
  if (typeof a === "string" && typeof b === "string" && a.length === b.length) spendOnText(a.length);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined || y !== undefined) return x === y;
  if (a instanceof Undefined || b instanceof Undefined) return a instanceof Undefined && b instanceof Undefined;
  if (Array.isArray(a) && Array.isArray(b))
    return (
      a instanceof Tuple === b instanceof Tuple &&
      a.length === b.length &&
      a.every((item, i) => equal(item, b[i] as Value))
    );
  if (a instanceof Map && b instanceof Map)
    return a.size === b.size && [...a].every(([key, item]) => has(b, key) && equal(item, lookUp(b, key) as Value));
  return a === b;
}

/** -1, 0 or 1. */
export function order(a: Value, b: Value): number {
  spend();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined && y !== undefined) return Math.sign(x - y);
  if (typeof a === "string" && typeof b === "string") {
    const length = Math.min(a.length, b.length);
    spendOnText(length);
    // By code points, as Python does it: of two that differ, one may be half of a pair.
    let at = 0;
    while (at < length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
    return Math.sign(at === length ? a.length - b.length : a.codePointAt(at)! - b.codePointAt(at)!);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
      const difference = order(a[i] as Value, b[i] as Value);
      if (difference !== 0) return difference;
    }
    return Math.sign(a.length - b.length);
  }
  throw new TemplateError(`${typeName(a)} and ${typeName(b)} have no order`);
}

export function typeName(value: Value): string {
  if (value === null) return "None";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  if (value instanceof Float) return "float";
  if (typeof value === "string") return "str";
  if (value instanceof Undefined) return "undefined";
  if (value instanceof Tuple) return "tuple";
  if (Array.isArray(value)) return "list";
  return value instanceof Map ? "dict" : "object";
}

/** A key as a Map finds it: 1, 1.0 and True are the same to Python. */
function keyOf(key: Value): Value {
  if (typeof key === "string") spendOnText(key.length);
  return numberOf(key) ?? key;
}

export function has(map: ReadonlyMap<Value, Value>, key: Value): boolean {
  const same = keyOf(key);
  return map.has(key) || map.has(same);
}

export function lookUp(map: ReadonlyMap<Value, Value>, key: Value): Value | undefined {
  const same = keyOf(key);
  return map.has(key) ? map.get(key) : map.get(same);
}

/** An item of a list, from its end where the index is negative; Undefined where there is none. */
export function itemAt(items: readonly Value[], index: number): Value {
  const found = items.at(index);
  return found === undefined ? new Undefined(String(index)) : found;
}

/** What a loop runs over. */
export function iterate(value: Value): Value[] {
  if (Array.isArray(value) || typeof value === "string") spendOnItems(value.length);
  if (Array.isArray(value)) return value;
  if (typeof value === "string") return Array.from(value);
  if (value instanceof Map) {
    spendOnItems(value.size);
    return [...value.keys()];
  }
  if (value instanceof Undefined) return [];
  throw new TemplateError(`${typeName(value)} cannot be iterated over`);
}

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** Blanks a level; undefined for one line. */
  readonly indent: number | undefined;
  /** Between items, and between a key and its value. */
  readonly separators: readonly [string, string];
  readonly sortKeys: boolean;
}

/** json.dumps as transformers gives it to templates: nothing is escaped for HTML. */
export function toJson(value: Value, style: JsonStyle, depth = 0): string {
  spend();
  const { ensureAscii, indent, sortKeys } = style;
  const [comma, colon] = style.separators;
  const quoted = (text: string): string => {
    spendOnText(text.length);
    const json = JSON.stringify(text);
    if (!ensureAscii) return json;
    return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  };
  if (value === null) return "null";
  if (typeof value === "boolean") return String(value);
  if (typeof value === "string") return quoted(value);
  const wrap = (open: string, items: string[], close: string): string => {
    if (items.length === 0) return open + close;
    if (indent === undefined) return open + items.join(comma) + close;
    spendOnText(indent * (depth + 1) * items.length);
    const [inner, outer] = [" ".repeat(indent * (depth + 1)), " ".repeat(indent * depth)];
    return `${open}\n${items.map((item) => inner + item).join(`${comma}\n`)}\n${outer}${close}`;
  };
  const inside = (item: Value): string => toJson(item, style, depth + 1);
  if (Array.isArray(value)) return wrap("[", value.map(inside), "]");
  if (value instanceof Map) {
    const entries = [...value];
    if (sortKeys) entries.sort(([a], [b]) => order(a, b));
    const items = entries.map(([key, item]) => {
      const name = typeof key === "string" ? key : toJson(key, style);
      return `${quoted(name)}${colon}${inside(item)}`;
    });
    return wrap("{", items, "}");
  }
  if (typeof value === "number" || value instanceof Float) return represent(value);
  throw new TemplateError(`${typeName(value)} cannot be written as JSON`);
}
