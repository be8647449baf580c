/**
 * How a stage declares its configuration. One zod object per stage is the only source of its flags, the keys of its
 * configuration files, the table in its README, its --help and its TypeScript type; every field of it comes from one of
 * the helpers here, which say what becomes of the field:
 *
 * - `flag` acts, and so do `required` and `positional`, which have no default;
 * - `accepted` takes a value that changes nothing here and says so in one line, so that command lines written for the
 *   Python original run unchanged and nothing is ignored silently;
 * - `refused` takes the values that ask for nothing (`--qlora False`) and fails with the reason for the others.
 */
import { z } from "zod";

export type FlagClass = "acts" | "accepted" | "refused";

/** The properties that a field declares, apart from its type and default. */
export interface FlagInfo {
  readonly class: FlagClass;
  /** One sentence: what the flag does, or for the other classes, why it changes nothing or is refused. */
  readonly help: string;
  readonly topic: string;
  /** Other names of the same flag. */
  readonly alias: readonly string[];
  /** Whether the value must not appear in logs. */
  readonly secret: boolean;
  /** Whether words without a flag before them are its value. */
  readonly positional: boolean;
  /** Whether a plain --help shows it, where the command marks any; the others are in `--help all`. */
  readonly main: boolean;
  /** Whether a stray word was most likely meant for this flag. */
  readonly word: boolean;
}

interface FlagOptions<T> {
  default: T;
  help: string;
  alias?: readonly string[];
  secret?: boolean;
  word?: boolean;
}

/** The key of FlagInfo in a field's zod metadata. */
const KEY = "medgpt";

type DeclaredInfo = Omit<FlagInfo, "topic" | "positional" | "word" | "main"> & {
  positional?: boolean;
  word?: boolean;
};

function declare<T extends z.ZodType>(type: T, defaultValue: z.output<T>, info: DeclaredInfo): z.ZodDefault<T> {
  return describe(type.default(defaultValue as never), info);
}

function describe<T extends z.ZodType>(type: T, info: DeclaredInfo): T {
  const full: FlagInfo = { positional: false, word: false, main: false, ...info, topic: "Other" };
  return type.meta({ description: info.help, [KEY]: full });
}

/** A field that acts. */
export function flag<T extends z.ZodType>(type: T, options: FlagOptions<z.output<T>>): z.ZodDefault<T> {
  return declare(type, options.default, {
    class: "acts",
    help: options.help,
    alias: options.alias ?? [],
    secret: options.secret ?? false,
    word: options.word ?? false,
  });
}

/** A field that acts and that the user must give. */
export function required<T extends z.ZodType>(type: T, options: { help: string; alias?: readonly string[] }): T {
  return describe(type, { class: "acts", help: options.help, alias: options.alias ?? [], secret: false });
}

/**
 * A required field that words without a flag give, as in `medgpt data convert IN …`: one word, or all that are left for a
 * list. It can be given as a flag too.
 */
export function positional<T extends z.ZodType<string | string[]>>(type: T, options: { help: string }): T {
  return describe(type, { class: "acts", help: options.help, alias: [], secret: false, positional: true });
}

/** A field that takes any value of its type and changes nothing; `because` completes "changes nothing here, because". */
export function accepted<T extends z.ZodType>(
  type: T,
  options: { default: z.output<T>; because: string; alias?: readonly string[]; secret?: boolean },
): z.ZodDefault<T> {
  return declare(type, options.default, {
    class: "accepted",
    help: `Changes nothing here, because ${options.because}.`,
    alias: options.alias ?? [],
    secret: options.secret ?? false,
  });
}

/** A field whose default asks for nothing; any other value fails with `why`, a sentence without its full stop. */
export function refused<T extends z.ZodType>(
  type: T,
  options: {
    default: z.output<T>;
    why: string;
    alias?: readonly string[];
    /** Whether a value asks for what is refused; by default every one but the default and null does. */
    asks?: (value: z.output<T>) => boolean;
  },
): z.ZodDefault<T> {
  const asks = options.asks ?? ((value) => value !== options.default && value !== null);
  const checked = type.refine((value) => !asks(value), { error: `refused: ${options.why}` });
  return declare(checked, options.default, {
    class: "refused",
    help: `Refused: ${options.why}.`,
    alias: options.alias ?? [],
    secret: false,
  });
}

/** Puts fields under a heading of --help and of the README table. */
export function topic<T extends Record<string, z.ZodType>>(name: string, fields: T): T {
  return marked(fields, () => ({ topic: name }));
}

/**
 * The fields of several groups, topic by topic: topics in the order in which they first come, and so the fields of each.
 * Help, tables and messages then have one order, whatever groups a command is composed of.
 */
export function orderedByTopic<T extends Record<string, z.ZodType>>(fields: T): T {
  const entries = Object.entries(fields);
  const topics = [...new Set(entries.map(([key, field]) => flagInfo(key, field).topic))];
  const ordered = topics.flatMap((name) => entries.filter(([key, field]) => flagInfo(key, field).topic === name));
  return Object.fromEntries(ordered) as T;
}

/** Marks the few fields that most runs need: a plain --help shows those and the required ones, `--help all` the others too. */
export function mainFlags<T extends Record<string, z.ZodType>>(fields: T, names: readonly (keyof T)[]): T {
  return marked(fields, (key) => ({ main: names.includes(key) }));
}

function marked<T extends Record<string, z.ZodType>>(fields: T, mark: (key: string) => Partial<FlagInfo>): T {
  return Object.fromEntries(
    Object.entries(fields).map(([key, field]) => [
      key,
      field.meta({ ...field.meta(), [KEY]: { ...flagInfo(key, field), ...mark(key) } }),
    ]),
  ) as T;
}

function flagInfo(name: string, field: z.ZodType): FlagInfo {
  const info = field.meta()?.[KEY] as FlagInfo | undefined;
  if (info === undefined) throw new TypeError(`field ${name} was not declared with flag, accepted or refused`);
  return info;
}

/** The forms a value can have on a command line. */
export type FlagKind = "boolean" | "integer" | "number" | "text" | "choice" | "list" | "json" | "boolean or text";

/** One field of a stage's schema, read back for parsing, help and tables. */
export interface Field extends FlagInfo {
  readonly name: string;
  readonly kind: FlagKind;
  readonly nullable: boolean;
  /** Undefined for a required field. */
  readonly default: unknown;
  /** The allowed values, for kind "choice". */
  readonly choices: readonly string[];
}

/** The fields of a stage's schema in their declared order. */
export function fieldsOf(schema: z.ZodObject): Field[] {
  return Object.entries(schema.shape).map(([name, field]) => {
    let type = (field instanceof z.ZodDefault ? field.unwrap() : field) as z.ZodType;
    const nullable = type instanceof z.ZodNullable;
    if (type instanceof z.ZodNullable) type = type.unwrap() as z.ZodType;
    const choices = type instanceof z.ZodEnum ? type.options.map(String) : [];
    return {
      ...flagInfo(name, field),
      name,
      kind: kindOf(name, type),
      nullable,
      default: field instanceof z.ZodDefault ? field.def.defaultValue : undefined,
      choices,
    };
  });
}

/** The name of a field as help and errors show it: `--in`, or `IN …` if words without a flag give the value. */
export function shownName(field: Field): string {
  if (!field.positional) return `--${field.name}`;
  return field.name.toUpperCase() + (field.kind === "list" ? " …" : "");
}

function kindOf(name: string, type: z.ZodType): FlagKind {
  if (type instanceof z.ZodBoolean) return "boolean";
  if (type instanceof z.ZodNumber) return type.isInt ? "integer" : "number";
  if (type instanceof z.ZodString) return "text";
  if (type instanceof z.ZodEnum) return "choice";
  if (type instanceof z.ZodArray) return "list";
  if (type instanceof z.ZodRecord) return "json";
  if (type instanceof z.ZodUnion) return "boolean or text";
  throw new TypeError(`field ${name} has a type that no flag can express: ${type.def.type}`);
}

/** The two flags that every command has: where its other flags come from, and how it reports. */
export const commandFlags = topic("Running", {
  config: flag(z.string().nullable(), {
    default: null,
    help: "A JSON or YAML file whose keys are flag names, or medgpt:NAME for a preset of the command; flags on the command line override it.",
  }),
  json: flag(z.boolean(), { default: false, help: "Report one JSON object a line on standard output." }),
});
