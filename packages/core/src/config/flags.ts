/**
 * From a command line and a configuration file to a stage's parsed configuration. Flags are written as transformers'
 * HfArgumentParser takes them (`--do_train`, `--fp16 True`, `--lora_rank=8`), with `-` and `_` alike. Unlike there,
 * nothing is dropped: an unknown name, a repeated flag, a stray word or a value of the wrong type is an InputError.
 */
import { InputError, nestsTooDeeply } from "@medgpt/artifacts";
import type { z } from "zod";

import { configPath, readConfigFile } from "./config-file.js";
import { fieldsOf, shownName, type Field } from "./schema.js";
import { suggestFlags } from "./suggest-flags.js";

export interface ParsedFlags<S extends z.ZodObject> {
  readonly config: z.output<S>;
  /** Names (never aliases) of the fields that the command line or the file set. */
  readonly given: ReadonlySet<string>;
  /** One line for each given flag that changes nothing. */
  readonly lines: readonly string[];
}

/** A value as it was given, and the words that an error about it uses. */
interface Given {
  readonly value: unknown;
  readonly shown: string;
  /** The flag, or file:line:column. */
  readonly place: string;
  /** The flag, or the key in the file. */
  readonly written: string;
}

export interface ParseOptions {
  /** Reads the file that --config names; from the disk unless given. */
  readonly readText?: (path: string) => string;
  /** The folder of the presets that --config medgpt:NAME means. */
  readonly presets?: URL | undefined;
}

/** Parses `argv` (without the program and command names) by a stage's schema. */
export function parseFlags<S extends z.ZodObject>(
  schema: S,
  argv: readonly string[],
  { readText, presets }: ParseOptions = {},
): ParsedFlags<S> {
  const fields = fieldsOf(schema);
  const byName = new Map<string, Field>();
  for (const field of fields) for (const name of [field.name, ...field.alias]) byName.set(name, field);

  // No value begins with two dashes, so all unknown flags can be named before any other fault.
  const unknown = argv.flatMap((argument) => {
    const written = argument.split("=", 1)[0]!;
    return /^--./.test(argument) && !byName.has(fieldName(written)) ? [{ written, place: written }] : [];
  });
  if (unknown.length > 0) throw unknownNames(unknown, fields);

  const fromFlags = readArguments(
    argv,
    byName,
    fields.filter((field) => field.positional),
  );
  const path = fromFlags.get("config")?.value;
  const given =
    typeof path === "string"
      ? readFileValues(configPath(path, presets), readText, byName, fields)
      : new Map<string, Given>();
  for (const [name, value] of fromFlags) given.set(name, value);

  const result = schema.safeParse(Object.fromEntries([...given].map(([name, { value }]) => [name, value])));
  if (!result.success) {
    const issue = result.error.issues[0]!;
    const name = issue.path.length === 0 ? undefined : String(issue.path[0]);
    throw issueError(
      issue,
      fields.find((field) => field.name === name),
      name === undefined ? undefined : given.get(name),
    );
  }

  const lines = fields
    .filter((field) => field.class === "accepted" && given.has(field.name))
    .map((field) => {
      const { shown, written } = given.get(field.name)!;
      return `${written}${field.secret ? "" : ` ${shown}`}: ${decapitalize(field.help).replace(/\.$/, "")}`;
    });
  return { config: result.data, given: new Set(given.keys()), lines };
}

/** What help the command line asks for: that of the flags that matter most, or with `--help all` that of all. */
export function asksForHelp(argv: readonly string[]): "main" | "all" | undefined {
  const at = argv.findIndex((argument) => /^(-h|--help(=.*)?)$/.test(argument));
  if (at < 0) return undefined;
  return argv[at] === "--help=all" || argv[at + 1] === "all" ? "all" : "main";
}

function readArguments(
  argv: readonly string[],
  byName: ReadonlyMap<string, Field>,
  positionals: readonly Field[],
): Map<string, Given> {
  const given = new Map<string, Given>();
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i]!;
    if (!argument.startsWith("--") || argument === "--") {
      if (positionals.length === 0 || /^-./.test(argument))
        throw strayWord(argument, [...new Set(byName.values())], given);
      words.push(argument);
      continue;
    }
    const equals = argument.indexOf("=");
    const written = equals < 0 ? argument : argument.slice(0, equals);
    const field = byName.get(fieldName(written))!; // unknown flags were refused before

    let text: string | undefined;
    if (equals >= 0) {
      text = argument.slice(equals + 1);
    } else if (i + 1 < argv.length && isValue(argv[i + 1]!, field, positionals.length > 0)) {
      text = argv[++i]!;
    } else if (!field.kind.startsWith("boolean")) {
      throw new InputError(`expected a value after it: ${expected(field)}`, { place: written });
    }

    const before = given.get(field.name);
    if (before !== undefined) {
      const names = before.place === written ? "given twice" : `the same flag as ${before.place}, which was given too`;
      throw new InputError(`${names}; give it once`, { place: written });
    }
    given.set(field.name, {
      value: text === undefined ? true : parseText(field, text, written),
      shown: text ?? "True",
      place: written,
      written,
    });
  }
  assignWords(words, positionals, given);
  return given;
}

/** A word where none may stand, with a flag of this command to put before it. */
function strayWord(word: string, fields: readonly Field[], given: ReadonlyMap<string, Given>): InputError {
  const shown = JSON.stringify(word);
  const meant = word.startsWith("-") ? undefined : fields.find((field) => field.word && !given.has(field.name));
  const flags = fields.filter((field) => !field.positional);
  const other = flags.find((field) => field.default === undefined) ?? flags[0];
  const such = meant === undefined ? `--${other?.name}` : `--${meant.name} ${shown}`;
  return new InputError(`expected a flag such as ${such}, got ${shown}`);
}

/** Gives words to the positional fields that no flag has given, in their order; a list takes all that are left. */
function assignWords(words: string[], positionals: readonly Field[], given: Map<string, Given>): void {
  for (const field of positionals) {
    if (words.length === 0 || given.has(field.name)) continue;
    const taken = field.kind === "list" ? words.splice(0) : words.splice(0, 1);
    if (taken.includes("")) throw new InputError(`expected ${expected(field)}, got ""`, { place: shownName(field) });
    const place = shownName(field);
    given.set(field.name, {
      value: field.kind === "list" ? taken : taken[0],
      shown: taken.join(" "),
      place,
      written: place,
    });
  }
  if (words.length > 0) throw new InputError(`expected a flag, got one word too many: ${JSON.stringify(words[0])}`);
}

/**
 * A word after a flag is its value unless it is a flag itself; "-1" and "-2e-4" are values, "-x" is not. Where words may
 * stand alone, one after a boolean is its value only if it is a boolean.
 */
function isValue(argument: string, field: Field, wordsAlone: boolean): boolean {
  if (wordsAlone && field.kind === "boolean" && !BOOLEANS.has(argument.toLowerCase())) return false;
  return !argument.startsWith("-") || /^-[\d.]/.test(argument) || argument === "-";
}

const INTEGER = /^[+-]?\d+$/;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["false", false],
  ["yes", true],
  ["no", false],
  ["1", true],
  ["0", false],
]);
const NOTHING = new Set(["None", "none", "null", "NULL", "Null"]);

/** A value written as text, as a command line has it; `place` begins the error. */
function parseText(field: Field, text: string, place: string, prefix = ""): unknown {
  const wrong = (): InputError =>
    new InputError(`${prefix}expected ${expected(field)}, got ${JSON.stringify(text)}`, { place });
  // A choice may itself be called "none".
  if (field.nullable && NOTHING.has(text) && !field.choices.includes(text)) return null;
  switch (field.kind) {
    case "boolean": {
      const value = BOOLEANS.get(text.toLowerCase());
      if (value === undefined) throw wrong();
      return value;
    }
    case "boolean or text":
      if (text.includes("\0")) throw wrong();
      return BOOLEANS.get(text.toLowerCase()) ?? text;
    case "integer":
      if (!INTEGER.test(text)) throw wrong();
      return Number(text);
    case "number":
      if (!NUMBER.test(text)) throw wrong();
      return Number(text);
    case "choice":
      if (!field.choices.includes(text)) throw wrong();
      return text;
    case "text":
      if (text === "" || text.includes("\0")) throw wrong(); // most are paths, which cannot have a NUL
      return text;
    case "list": {
      const items = text.split(",").map((item) => item.trim());
      if (items.includes("")) throw wrong();
      return items;
    }
    case "json":
      if (nestsTooDeeply(text)) throw wrong();
      try {
        return JSON.parse(text) as unknown;
      } catch {
        throw wrong();
      }
  }
}

function expected(field: Field): string {
  const kinds = {
    boolean: "True or False",
    integer: "an integer",
    number: "a number",
    text: "text",
    choice: `one of ${field.choices.join(", ")}`,
    list: "names separated by commas",
    json: `a JSON object such as '{"num_cycles": 2}'`,
    "boolean or text": "True, False or text",
  };
  return kinds[field.kind] + (field.nullable ? " (or None)" : "");
}

function readFileValues(
  path: string,
  readText: ((path: string) => string) | undefined,
  byName: ReadonlyMap<string, Field>,
  fields: readonly Field[],
): Map<string, Given> {
  const given = new Map<string, Given>();
  const entries = readConfigFile(path, readText);
  const unknown = entries.filter(({ key }) => !byName.has(fieldName(key)));
  if (unknown.length > 0)
    throw unknownNames(
      unknown.map(({ key, place }) => ({ written: key, place })),
      fields,
    );
  for (const { key, value, place } of entries) {
    const field = byName.get(fieldName(key))!;
    if (field.name === "config") throw new InputError("a configuration file cannot name another one", { place });
    if (given.has(field.name)) throw new InputError(`${key}: ${field.name} is set twice; give it once`, { place });
    given.set(field.name, {
      // A file written by hand may quote a number or write "True" in JSON; text means there what it means in a flag.
      value: typeof value === "string" ? parseText(field, value, place, `${key}: `) : value,
      shown: typeof value === "string" ? value : JSON.stringify(value),
      place,
      written: key,
    });
  }
  return given;
}

/** The name of a field as a flag or a key of a file writes it. */
function fieldName(written: string): string {
  return written.replace(/^--/, "").replaceAll("-", "_");
}

/** All unknown flags, or keys of a file, with what each may have meant. */
function unknownNames(
  unknown: readonly { readonly written: string; readonly place: string }[],
  fields: readonly Field[],
): InputError {
  const isFlag = unknown[0]!.place === unknown[0]!.written;
  const hints = unknown.map(({ written }) => {
    const names = suggestFlags(fieldName(written), fields).map((name) => (isFlag ? `--${name}` : name));
    if (names.length === 0) return undefined;
    return `did you mean ${names.join(", ").replace(/, ([^,]*)$/, " or $1")}?`;
  });
  const all = "--help all lists them all";
  const [first] = unknown;
  if (unknown.length === 1) {
    const what = isFlag ? "unknown flag" : `unknown key ${first!.written}`;
    return new InputError(`${what}; ${hints[0] ?? all}`, { place: first!.place });
  }
  const list = unknown.map(({ written, place }, index) => {
    const name = isFlag || index === 0 ? written : `${written} (${place})`;
    return hints[index] === undefined ? name : `${name}: ${hints[index]}`;
  });
  const text = `unknown ${isFlag ? "flags" : "keys"}: ${list.join(" ")}`;
  return new InputError(hints.includes(undefined) ? `${text}; ${all}` : text, isFlag ? {} : { place: first!.place });
}

/** The first complaint of the schema in words: the flag or the place in the file, what was expected and what came. */
function issueError(issue: z.core.$ZodIssue, field: Field | undefined, given: Given | undefined): InputError {
  const place = given?.place ?? (field === undefined ? undefined : shownName(field));
  const prefix = given === undefined || given.written === given.place ? "" : `${given.written}: `;
  const got = given === undefined ? "" : `, got ${given.shown}`;
  if (given === undefined && field !== undefined && field.default === undefined) {
    return new InputError(`required: ${decapitalize(field.help)}`, { place: shownName(field) });
  }
  const because = ((): string => {
    switch (issue.code) {
      case "too_small":
        return `expected ${issue.inclusive === false ? `more than ${issue.minimum}` : `${issue.minimum} or more`}${got}`;
      case "too_big":
        return `expected ${issue.inclusive === false ? `less than ${issue.maximum}` : `${issue.maximum} or less`}${got}`;
      case "custom":
        return issue.message;
      case "invalid_value":
        return `expected ${issue.values.join(", ")}${got}`;
      default:
        return field === undefined ? issue.message : `expected ${expected(field)}${got}`;
    }
  })();
  return new InputError(prefix + because, place === undefined ? {} : { place });
}

function decapitalize(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1);
}
