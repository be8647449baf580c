import { all, CONTEXT_COLUMNS, contextTurns, has, textIn, toolsOf, without, type Format } from "./format.js";
import { RefusedRow } from "./refused-row.js";

const QUESTIONS = ["prompt", "question", "query", "instruction"];

/** Questions to be answered, by a policy in training for example. */
export const prompt: Format = {
  name: "prompt",
  kind: "prompt",
  about:
    "`prompt` (text or list of messages), `question`, `query` or `instruction`; optional `answer` to a `prompt`, `system`, `history`, `tools`",
  matches: (row) => {
    const column = QUESTIONS.find((name) => has(row, name));
    return column === undefined ? undefined : all(row, column);
  },
  read: (row) => {
    const column = QUESTIONS.find((name) => has(row, name)) ?? "prompt";
    const turns = contextTurns(row, row[column], column);
    if (!["user", "tool"].includes(turns.at(-1)!.role))
      throw new RefusedRow(`expected a prompt that ends with the user or a tool, got ${turns.at(-1)!.role}`);
    const answer = column === "prompt" && has(row, "answer") ? textIn(row, "answer") : null;
    const extra = without(row, column, "tools", ...CONTEXT_COLUMNS, ...(answer === null ? [] : ["answer"]));
    return { kind: "prompt", turns, answer, tools: toolsOf(row), extra };
  },
};
