/** Reads files row by row, checks each row by every rule, and writes the rows that --fix and --quarantine leave. */
import { extname } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { halfPairs, holdsJsonTexts, parseJson, stringifyJson } from "@medgpt/core/json";
import type { OutputFile } from "../output-files.js";
import { findingOf, type Finding } from "./finding.js";
import { lintRow, repairRow, type RowContext } from "./lint-row.js";
import type { RawRow } from "./raw-rows.js";
import { expectedKeys } from "./row-view.js";
import { RowWriter } from "./row-writer.js";
import { rowsOfFile } from "./rows-of-file.js";
import type { Check, LintRow, Problem, Rule, RuleOptions } from "./rule.js";
import { json } from "./rules/json.js";
import { leakage } from "./rules/leakage.js";

export interface LintOptions extends RuleOptions {
  readonly files: readonly string[];
  /** Files whose questions the others may not repeat. They are not checked themselves unless they are among `files`. */
  readonly references: readonly string[];
  readonly rules: readonly Rule[];
  readonly fix: boolean;
  readonly quarantine: OutputFile | undefined;
  /** Where the rows of each file go; none where nothing is written. */
  readonly outputs: readonly OutputFile[];
  readonly onFinding: (finding: Finding) => void;
  readonly onBytes: (count: number) => void;
  /** Told of contents that do not fit the name of a file. */
  readonly onNote: (text: string) => void;
  readonly signal: AbortSignal | undefined;
}

export interface LintCounts {
  rows: number;
  findings: number;
  /** Findings about rows as they were left. */
  remaining: number;
  repaired: number;
  removed: number;
  quarantined: number;
}

type Found = readonly (readonly [rule: string, problem: Problem])[];

/** One repair may make another possible, such as that of a comma and then that of a role. */
const MAX_REPAIRS = 10;

export async function lintFiles(options: LintOptions): Promise<LintCounts> {
  const checks = options.rules.map((rule) => ({ ...rule, check: rule.start(options) }));
  const rules: Rules = {
    alone: checks.filter(({ compares }) => compares !== true),
    comparing: checks.filter(({ compares }) => compares === true),
  };
  const refer = checks.find(({ name }) => name === leakage.name)?.check;
  if (refer !== undefined) for (const file of options.references) await readReference(file, refer, options);
  const counts: LintCounts = { rows: 0, findings: 0, remaining: 0, repaired: 0, removed: 0, quarantined: 0 };
  for (const [index, file] of options.files.entries())
    await lintFile(file, options.outputs[index], rules, options, counts);
  return counts;
}

interface Rules {
  readonly alone: readonly { readonly name: string; readonly check: Check }[];
  readonly comparing: Rules["alone"];
}

async function readReference(file: string, refer: Check, { signal }: LintOptions): Promise<void> {
  for await (const raw of rowsOfFile(file)) {
    signal?.throwIfAborted();
    Array.from(refer(lintRow(raw, { file, expected: [], split: "reference" })));
  }
}

async function lintFile(
  file: string,
  output: OutputFile | undefined,
  rules: Rules,
  options: LintOptions,
  counts: LintCounts,
): Promise<void> {
  const { fix, quarantine, references, signal } = options;
  const context: RowContext = {
    file,
    expected: expectedKeys(await firstValues(file)),
    split: references.includes(file) ? "held out" : "training",
  };
  if (
    extname(file) === ".txt" &&
    options.rules.some(({ name }) => name === json.name) &&
    (await holdsJsonTexts(file))
  ) {
    const message = 'every line is JSON with a "text", which would be trained on as it stands, field names too';
    const advice = "give it a name that ends in .jsonl (a list: .json)";
    reportFile({ rule: json.name, file, line: 1, column: 1, message, advice }, options, counts);
  }
  const writer = output && new RowWriter(output);
  const report = (found: Found, row: LintRow): void => {
    counts.findings += found.length;
    for (const [rule, problem] of found) options.onFinding(findingOf(rule, row, problem));
  };

  try {
    for await (const raw of rowsOfFile(file, options.onBytes, options.onNote)) {
      signal?.throwIfAborted();
      if (raw.badByte === undefined && /^[ \t\r]*$/.test(raw.raw)) {
        await writer?.write("");
        continue;
      }
      counts.rows++;
      const row = lintRow(raw, context);
      let found = all(rules.alone, row);
      report(found, row);
      let repaired = row;
      for (let i = 0; fix && i < MAX_REPAIRS && found.some(([, { repair }]) => repair !== undefined); i++) {
        const text = repairRow(
          repaired,
          found.map(([, problem]) => problem),
        );
        repaired = lintRow({ ...raw, raw: text }, context);
        found = all(rules.alone, repaired);
      }
      // A row that leaves is compared with none, so that no other leaves because of it.
      if (quarantine === undefined || found.length === 0) {
        const like = first(rules.comparing, repaired);
        report(like, row);
        if (fix && like.some(([, { repair }]) => repair === "remove row")) {
          counts.removed++;
          continue;
        }
        found = [...found, ...like];
      }
      if (quarantine !== undefined && found.length > 0) {
        counts.quarantined++;
        await quarantine.write(Buffer.from(`${stringifyJson(quarantined(raw, repaired, found))}\n`));
        continue;
      }
      if (repaired.raw !== row.raw) counts.repaired++;
      counts.remaining += found.length;
      await writer?.write(raw.bytes ?? repaired.raw);
    }
  } catch (error) {
    reportBroken(error, file, writer !== undefined, options, counts);
  }
  await writer?.end();
}

function all(rules: Rules["alone"], row: LintRow): Found {
  return rules.flatMap(({ name, check }) => [...check(row)].map((problem) => [name, problem] as const));
}

/** What the first rule finds that finds anything: a row that repeats another needs no second reason. */
function first(rules: Rules["comparing"], row: LintRow): Found {
  for (const { name, check } of rules) {
    const problems = [...check(row)];
    if (problems.length > 0) return problems.map((problem) => [name, problem] as const);
  }
  return [];
}

/** The number of rows from which the format of a file is judged. */
const FIRST_ROWS = 100;

async function firstValues(file: string): Promise<unknown[]> {
  const values: unknown[] = [];
  try {
    for await (const raw of rowsOfFile(file)) {
      values.push(lintRow(raw, { file, expected: [], split: "training" }).value);
      if (values.length === FIRST_ROWS) break;
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error; // said when the file is read
  }
  return values;
}

/** A row that was put aside, with the reasons. Bytes that are no text are kept as such. */
function quarantined(raw: RawRow, row: LintRow, found: Found): object {
  const findings = found.map(([rule, problem]) => {
    const { line, column, message } = findingOf(rule, row, problem);
    return { rule, line, column, message };
  });
  const content =
    raw.bytes !== undefined
      ? { base64: raw.bytes.toString("base64") }
      : row.plain || row.value === undefined || halfPairs(row.raw).next().done !== true
        ? { text: row.raw }
        : { row: parseJson(row.raw.replace(/^\uFEFF/, "")) };
  return { file: row.file, line: row.line, findings, ...content };
}

/** A .json file that stops being JSON is a finding; the rest of the file cannot be checked. */
function reportBroken(error: unknown, file: string, writes: boolean, options: LintOptions, counts: LintCounts): void {
  if (!(error instanceof InputError) || error.place === undefined || writes) throw error;
  const place = /^(.*?):(\d+)(?::(\d+))?$/s.exec(error.place);
  if (place?.[1] !== file) throw error;
  const message = error.message.slice(error.place.length + 2);
  const rule = message.startsWith("expected UTF-8") ? "encoding" : "json";
  if (!options.rules.some(({ name }) => name === rule)) throw error;
  const advice = "mend it first: what follows was not checked";
  reportFile({ rule, file, line: Number(place[2]), column: Number(place[3] ?? 1), message, advice }, options, counts);
}

/** Reports a problem of a file that is not one of a row. */
function reportFile(
  finding: Pick<Finding, "rule" | "file" | "line" | "column" | "message" | "advice">,
  options: LintOptions,
  counts: LintCounts,
): void {
  counts.findings++;
  counts.remaining++;
  options.onFinding({ ...finding, fixable: false, snippet: "", mark: { start: 0, length: 0 } });
}
