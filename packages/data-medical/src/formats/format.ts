import type { DatasetFormat } from "@medgpt/artifacts";
import { toolsText } from "@medgpt/core/chat";
import type { DataRow } from "@medgpt/core/data";

import type { Example, Turn } from "./example.js";
import { shown } from "./json.js";
import { RefusedRow } from "./refused-row.js";
import { readTurns, refusing, toTurns } from "./turns.js";

/** A way to write rows. */
export interface Format {
  readonly name: string;
  readonly kind: DatasetFormat;
  /** Its columns, for people. */
  readonly about: string;
  /** The columns by which a row is known to have this format; undefined where it has not. */
  matches(row: DataRow): readonly string[] | undefined;
  /** @throws RefusedRow */
  read(row: DataRow): Example;
}

/** Whether the row has a value in the column; files of columns have null for a missing value. */
export function has(row: DataRow, column: string): boolean {
  return row[column] !== undefined && row[column] !== null;
}

/** The columns where the row has a value in each of them. */
export function all(row: DataRow, ...columns: string[]): readonly string[] | undefined {
  return columns.every((column) => has(row, column)) ? columns : undefined;
}

/** The columns that a format does not name. */
export function without(row: DataRow, ...columns: string[]): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(row).filter(([column]) => !columns.includes(column)));
}

/** @throws RefusedRow if there is no text in the column */
export function textIn(row: DataRow, column: string): string {
  const value = row[column];
  if (typeof value === "string") return value;
  throw new RefusedRow(`expected text in "${column}", got ${shown(value)}`);
}

/** The columns beside the question by which question and answer formats begin: a system prompt and earlier turns. */
export const CONTEXT_COLUMNS = ["system", "system_prompt", "history"] as const;

/** The turns before an answer: the system prompt, the pairs of `history`, and the question. */
export function contextTurns(row: DataRow, question: unknown, column: string): Turn[] {
  const history = has(row, "history") ? row["history"] : [];
  if (!Array.isArray(history)) throw new RefusedRow(`expected a list of pairs in "history", got ${shown(history)}`);
  const pairs = history.flatMap((pair: unknown): Turn[] => {
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((text) => typeof text === "string"))
      throw new RefusedRow(`expected a question and an answer in "history", got ${shown(pair)}`);
    const [user, assistant] = pair as [string, string];
    return [
      { role: "user", content: user },
      { role: "assistant", content: assistant },
    ];
  });
  return withSystem(row, [...pairs, ...toTurns(question, "user", column)]);
}

/** The turns of a list, after the system prompt that MedicalGPT and LLaMA-Factory keep in a column of its own. */
export function conversationTurns(row: DataRow, column: string): Turn[] {
  return withSystem(row, readTurns(row[column], column));
}

function withSystem(row: DataRow, turns: Turn[]): Turn[] {
  const prompts = ["system", "system_prompt"].filter((column) => has(row, column) && row[column] !== "");
  if (prompts.length === 0) return turns;
  const content = textIn(row, prompts[0]!);
  const others = [...prompts.map((column) => row[column]), ...(turns[0]?.role === "system" ? [turns[0].content] : [])];
  if (others.some((other) => other !== content))
    throw new RefusedRow("expected one system prompt, got two that differ");
  return turns[0]?.role === "system" ? turns : [{ role: "system", content }, ...turns];
}

/** The `tools` column as JSON text; data has it as such, or as the list itself. */
export function toolsOf(row: DataRow): string | null {
  return refusing(() => toolsText(row["tools"], "tools")) ?? null;
}
