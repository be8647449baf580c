/** Methods of strings, dicts and lists, as Python has them. */
import { text, whole, wrong } from "./arguments.js";
import {
  capitalize,
  find,
  joined,
  ONLY_SPACE,
  padded,
  partition,
  replace,
  split,
  splitLines,
  strip,
  zeroFilled,
} from "./strings.js";
import { spendOnItems, spendOnText } from "./steps.js";
import { equal, has, isTrue, iterate, lookUp, print, Tuple, type Callable, type Value } from "./values.js";

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
  partition: (s, [by]) => partition(s, text(by as Value, "partition"), "indexOf"),
  rpartition: (s, [by]) => partition(s, text(by as Value, "rpartition"), "lastIndexOf"),
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
  count: (s, [part]) => split(s, text(part as Value, "count"), -1).length - 1,
  join: (s, [items]) =>
    joined(
      iterate(items as Value).map((item) => text(item, "join")),
      s,
    ),
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
    if (method === undefined) return undefined;
    return (args) => {
      spendOnText(value.length);
      const result = method(value, args);
      if (typeof result === "string") spendOnText(result.length);
      return result;
    };
  }
  if (value instanceof Map) {
    const listed = (items: () => Value[]) => () => {
      spendOnItems(value.size);
      return items();
    };
    switch (name) {
      case "items":
        return listed(() => [...value].map(([key, item]) => Tuple.of(key, item)));
      case "keys":
        return listed(() => [...value.keys()]);
      case "values":
        return listed(() => [...value.values()]);
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
