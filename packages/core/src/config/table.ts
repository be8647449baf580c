/** A stage's schema as people read it: the option table of its README and the text of --help. */
import { readFileSync, writeFileSync } from "node:fs";

import type { z } from "zod";

import { fieldsOf, shownName, type Field } from "./schema.js";

/** Around the tables; a README with several commands has the name of each in its markers. */
const markers = (name?: string): [begin: string, end: string] => {
  const label = name === undefined ? "options" : `options of ${name}`;
  return [`<!-- ${label}: generated from src/config.ts by tools/readme-tables.mjs -->`, `<!-- /${label} -->`];
};

/** The Markdown tables of a stage's options, one a topic. */
export function optionTable(schema: z.ZodObject): string {
  return byTopic(fieldsOf(schema))
    .map(([topic, fields]) =>
      [
        `### ${topic}`,
        "",
        "| flag | type | default | class | |",
        "| --- | --- | --- | --- | --- |",
        ...fields.map((field) => {
          const names = namesOf(field)
            .map((name) => `\`${name}\``)
            .join(", ");
          const type = field.kind === "choice" ? field.choices.map((choice) => `\`${choice}\``).join(", ") : field.kind;
          return `| ${names} | ${type} | ${field.default === undefined ? "required" : `\`${showDefault(field)}\``} | ${field.class} | ${field.help.replaceAll("|", "\\|")} |`;
        }),
      ].join("\n"),
    )
    .join("\n\n");
}

/** `readme` with the text between the option markers (of the command) replaced by the schema's tables. */
export function withOptionTable(readme: string, schema: z.ZodObject, command?: string): string {
  const [first, last] = markers(command);
  const begin = readme.indexOf(first);
  const end = readme.indexOf(last);
  if (begin < 0 || end < begin) throw new Error(`the README lacks the lines ${first} and ${last}`);
  return `${readme.slice(0, begin + first.length)}\n\n${optionTable(schema)}\n\n${readme.slice(end)}`;
}

/** Brings the tables of a README file up to date; returns whether they were not. */
export function updateOptionTable(path: string | URL, schema: z.ZodObject, command?: string): boolean {
  const before = readFileSync(path, "utf8");
  const after = withOptionTable(before, schema, command);
  if (after !== before) writeFileSync(path, after);
  return after !== before;
}

export interface HelpOptions {
  /** How the command is called, with its words. */
  readonly usage: string;
  readonly summary: string;
  /** Show every flag, also where the schema marks the main ones. */
  readonly all?: boolean;
  readonly columns?: number | undefined;
}

/** The text of --help, wrapped at `columns`. Where the schema marks its main flags, those and the required ones, unless `all`. */
export function helpText(schema: z.ZodObject, { usage, summary, all = false, columns = 100 }: HelpOptions): string {
  const indent = " ".repeat(6);
  const fields = fieldsOf(schema);
  const short = !all && fields.some(({ main }) => main);
  const shown = (field: Field): boolean => !short || field.main || field.default === undefined;
  const topics = byTopic(fields.filter(shown)).map(([topic, fields]) => {
    const entries = fields.map((field) => {
      const names = namesOf(field).join(", ");
      const type = field.kind === "choice" ? field.choices.join("|") : field.kind;
      const suffix = field.class === "acts" ? ` ${defaultSentence(field)}` : "";
      return `  ${names} <${type}>\n${wrap(field.help + suffix, columns - indent.length, indent)}`;
    });
    return `${topic}\n${entries.join("\n")}`;
  });
  const others = fields.length - fields.filter(shown).length;
  const more = short ? `\n${others} more flags: ${usage.replace(/ \[flags\]$/, "")} --help all\n` : "";
  return `${summary}\n\nUsage: ${usage}\n\n${topics.join("\n\n")}\n${more}`;
}

function namesOf(field: Field): string[] {
  return [shownName(field), ...field.alias.map((name) => `--${name}`)];
}

function byTopic(fields: readonly Field[]): [string, Field[]][] {
  const topics = new Map<string, Field[]>();
  for (const field of fields) {
    const together = topics.get(field.topic);
    if (together === undefined) topics.set(field.topic, [field]);
    else together.push(field);
  }
  return [...topics];
}

function defaultSentence(field: Field): string {
  return field.default === undefined ? "Required." : `Default: ${showDefault(field)}.`;
}

/** A default as it would be written on a command line. */
function showDefault(field: Field): string {
  const value = field.default;
  if (value === null) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return value.length === 0 ? "[]" : value.join(",");
  return String(value);
}

function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each) => indent + each).join("\n");
}
