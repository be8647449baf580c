/** Jinja2's tests (`value is name`) and `in`. */
import { text, whole, wrong } from "./arguments.js";
import { spendOnSearch } from "./steps.js";
import { equal, Float, has, iterate, order, print, Undefined, type Value } from "./values.js";

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
  if (typeof all === "string") {
    spendOnSearch(all, text(value, "in"));
    return all.includes(value as string);
  }
  if (all instanceof Map) return has(all, value);
  return iterate(all).some((item) => equal(item, value));
}
