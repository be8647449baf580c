import { specialTextFinder } from "@medgpt/core/chat";
import { stringsOf } from "../strings-of.js";
import { LIST_KEYS, TEXT_KEYS } from "../row-view.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const specialToken: Rule = {
  name: "special-token",
  finds:
    "Special tokens of --tokenizer_name_or_path in texts, where they forge a turn, or end an answer or a document in its middle.",
  start: ({ tokenizer }) => {
    if (tokenizer === undefined) return () => [];
    const find = specialTextFinder(tokenizer);
    return (row) => checkTexts(row, find);
  },
};

/** The columns that training reads. */
const READ: ReadonlySet<string> = new Set([...TEXT_KEYS.keys(), ...LIST_KEYS, "history", "data", "tools"]);

function* checkTexts({ value, plain }: LintRow, find: ReturnType<typeof specialTextFinder>): Generator<Problem> {
  for (const { path, text } of stringsOf(value)) {
    if (!plain && !READ.has(String(path[0]))) continue;
    for (const { token, at } of find(text)) {
      const message = `the special token ${token}, which the model takes for a mark of its own`;
      yield { path, at, end: at + token.length, message, advice: "spell it otherwise, or remove the row" };
    }
  }
}
