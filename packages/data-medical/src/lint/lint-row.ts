import { nestsTooDeeply } from "@medgpt/artifacts";
import { locate, offsetInString, type Range } from "./locate.js";
import type { RawRow } from "./raw-rows.js";
import { viewRow } from "./row-view.js";
import type { LintRow, Problem } from "./rule.js";

/** The properties of a row that come from its file. */
export type RowContext = Pick<LintRow, "file" | "expected" | "split">;

/** A row to be checked. */
export function lintRow(row: RawRow, context: RowContext): LintRow {
  const value = row.plain ? row.raw : parse(row);
  return { ...row, ...context, value, ...viewRow(row.plain || typeof value === "object" ? value : undefined) };
}

function parse({ raw, badByte }: RawRow): unknown {
  if (badByte !== undefined || nestsTooDeeply(raw)) return undefined;
  try {
    return JSON.parse(raw.replace(/^\uFEFF/, "")) as unknown;
  } catch {
    return undefined; // the rule json says why
  }
}

/** The place of a problem in `raw`. */
export function rangeOf({ raw, plain }: LintRow, { path, at, end }: Problem): Range {
  if (path === undefined || plain) return { start: at ?? 0, end: end ?? raw.length };
  const value = locate(raw, path);
  if (at === undefined || raw[value.start] !== '"') return value;
  return {
    start: offsetInString(raw, value.start, at),
    end: end === undefined ? value.end : offsetInString(raw, value.start, end),
  };
}

/**
 * `raw` after the repairs that its problems offer, unchanged if there are none. Repairs that overlap wait for the next
 * call.
 */
export function repairRow(row: LintRow, problems: readonly Problem[]): string {
  const edits = problems
    .filter(({ repair }) => repair !== undefined && repair !== "remove row")
    .map((problem) => editOf(row, problem))
    .sort((a, b) => b.start - a.start);
  let { raw } = row;
  let last = Infinity;
  for (const { start, end, text } of edits) {
    if (end > last) continue;
    raw = raw.slice(0, start) + text + raw.slice(end);
    last = start;
  }
  return raw;
}

function editOf(row: LintRow, problem: Problem): Range & { text: string } {
  const { path, at, repair } = problem;
  const { start, end } = rangeOf(row, problem);
  if (typeof repair === "object") {
    const quoted = JSON.stringify(repair.replace);
    const text = path === undefined || row.plain ? repair.replace : at === undefined ? quoted : quoted.slice(1, -1);
    return { start, end, text };
  }
  // An item goes with the comma before it; only last ones that are not first are removed.
  return { start: row.raw.lastIndexOf(",", start), end, text: "" };
}
