/** Formats of a question and an answer, each in a column. */
import type { DataRow } from "@medgpt/core/data";

import { CONTEXT_COLUMNS, contextTurns, has, toolsOf, without, type Format } from "./format.js";
import { toTurns } from "./turns.js";

const CONTEXT = "optional `system`, `history`";

export const qa = pairFormat("qa", ["question", "query"], ["answer", "response"], CONTEXT);

/** TRL's, of texts or of lists of messages. */
export const promptCompletion = pairFormat(
  "prompt-completion",
  ["prompt"],
  ["completion", "response"],
  `texts or lists of messages; ${CONTEXT}`,
);

function pairFormat(name: string, questions: readonly string[], answers: readonly string[], more: string): Format {
  const names = (columns: readonly string[]): string => columns.map((column) => `\`${column}\``).join(" or ");
  const matches = (row: DataRow): [question: string, answer: string] | undefined => {
    const [question, answer] = [questions, answers].map((columns) => columns.find((column) => has(row, column)));
    return question === undefined || answer === undefined ? undefined : [question, answer];
  };
  return {
    name,
    kind: "chat",
    about: `${names(questions)}, and ${names(answers)}: ${more}`,
    matches,
    read: (row) => {
      const [question, answer] = matches(row) ?? [questions[0]!, answers[0]!];
      return {
        kind: "chat",
        turns: [...contextTurns(row, row[question], question), ...toTurns(row[answer], "assistant", answer)],
        tools: toolsOf(row),
        extra: without(row, question, answer, "tools", ...CONTEXT_COLUMNS),
      };
    },
  };
}
