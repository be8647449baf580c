import { detectFormat } from "../../formats/detect-format.js";
import { RefusedRow } from "../../formats/refused-row.js";
import { hasEqualAnswers } from "../../formats/usable-example.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const equalAnswers: Rule = {
  name: "equal-answers",
  finds: "Pairs whose better and worse answer say the same, but for space around them and line ends.",
  start: () => checkPair,
};

const REJECTED = ["rejected", "response_rejected"] as const;

function* checkPair({ value, plain }: LintRow): Generator<Problem> {
  if (plain || typeof value !== "object" || value === null) return;
  const row = value as Readonly<Record<string, unknown>>;
  const column = REJECTED.find((name) => row[name] !== undefined && row[name] !== null);
  if (column === undefined || !isEqual(row)) return;
  yield { path: [column], message: "the same answer as the better one", advice: "write another, or remove the row" };
}

function isEqual(row: Readonly<Record<string, unknown>>): boolean {
  try {
    const example = detectFormat(row).format.read(row);
    return example.kind === "preference" && hasEqualAnswers(example);
  } catch (error) {
    if (error instanceof RefusedRow) return false; // other rules say why
    throw error;
  }
}
