import type { DatasetFormat } from "@medgpt/artifacts";
import { snippet } from "@medgpt/core/text";
import type { DataRow } from "@medgpt/core/data";

import { FORMATS } from "./formats.js";
import { has, type Format } from "./format.js";
import { RefusedRow } from "./refused-row.js";
import { columnMeant } from "./suggest-columns.js";

/**
 * Of kinds that fit a row, the first counts: a preference has the columns of a prompt too, and a chat may have those of a
 * prompt or a text that was made of it.
 */
const KINDS: readonly DatasetFormat[] = ["preference", "chat", "prompt", "text"];

export interface Detected {
  readonly format: Format;
  /** By which it was known. */
  readonly columns: readonly string[];
}

/**
 * The format of a row by its columns.
 * @param usual that of the rows of its file: a row which lacks a part of it is not of another format, but is refused by it
 * @throws RefusedRow where none fits, or two of the same kind do
 */
export function detectFormat(row: DataRow, usual?: Detected): Detected {
  const { found, other } = fitting(row);
  if (usual !== undefined && lacksPart(row, usual, found)) return usual;
  if (found === undefined) throw new RefusedRow(noFormat(row));
  if (other !== undefined)
    throw new RefusedRow(`the columns fit both ${describe(found)} and ${describe(other)}; name the format with --from`);
  return found;
}

/** The format that fits best, and another of its kind. */
function fitting(row: DataRow): { found: Detected | undefined; other: Detected | undefined } {
  const all = FORMATS.flatMap((format): Detected[] => {
    const columns = format.matches(row);
    return columns === undefined ? [] : [{ format, columns }];
  });
  const kind = KINDS.find((kind) => all.some(({ format }) => format.kind === kind));
  const [found, other] = all.filter(({ format }) => format.kind === kind);
  return { found, other };
}

/**
 * Whether a row is one of the usual format in which a column is null or missing. What is left may fit a lesser format, as an
 * instruction without its output fits a prompt; a row that has nothing of the usual format is of another.
 */
function lacksPart(row: DataRow, { columns }: Detected, found: Detected | undefined): boolean {
  if (columns.every((column) => has(row, column))) return false;
  if (found === undefined) return columns.some((column) => Object.hasOwn(row, column));
  const isLesser = found.columns.length < columns.length && found.columns.every((column) => columns.includes(column));
  const isTorn = columns.every((column) => Object.hasOwn(row, column)) && columns.some((column) => has(row, column));
  return isLesser || isTorn;
}

/** The format that fits most of some rows, those counted that would lack a part of it; undefined where none fits any. */
export function usualFormat(rows: readonly DataRow[]): Detected | undefined {
  const found = rows.map((row) => fitting(row).found);
  const candidates = new Map(found.flatMap((each) => (each === undefined ? [] : [[each.format, each] as const])));
  let best: { readonly detected: Detected; readonly count: number } | undefined;
  for (const detected of candidates.values()) {
    const count = rows.filter(
      (row, index) => found[index]?.format === detected.format || lacksPart(row, detected, found[index]),
    ).length;
    if (best === undefined || count > best.count) best = { detected, count };
  }
  return best?.detected;
}

/** Why no format fits, with the names that the columns should have. */
function noFormat(row: DataRow): string {
  const columns = Object.keys(row);
  const shown = columns.map((column) => snippet(column)).join(", ") || "none";
  const meant = Object.fromEntries(columns.map((column) => [columnMeant(column), row[column]]));
  const { found } = fitting(meant);
  const renamed = columns.filter(
    (column) => found?.columns.includes(columnMeant(column)) && columnMeant(column) !== column,
  );
  if (found !== undefined && renamed.length > 0) {
    const names = renamed.map((column) => `${snippet(column)} to ${columnMeant(column)}`).join(", ");
    return `the columns (${shown}) fit no format; rename ${names}, and they are ${found.format.name}`;
  }
  return `the columns (${shown}) fit no format; rename them (question and answer; instruction and output; prompt and completion; conversations; messages; or text), or name the format with --from`;
}

/** A format with the columns by which it was known. */
export function describe({ format, columns }: Detected): string {
  return `${format.name} (${columns.join(", ")})`;
}
