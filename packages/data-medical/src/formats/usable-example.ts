import { isBlank, withoutFilledNulls } from "@medgpt/core/chat";

import type { Example, PreferenceExample, Turn } from "./example.js";
import { parseJson } from "./json.js";
import { RefusedRow } from "./refused-row.js";

/**
 * An example that can be learnt from, without the nulls that tables fill into calls. A blank text is left as it is: it is a
 * document too.
 * @throws RefusedRow for a question or an answer without text, which teaches to stop at once, and for two equal answers
 */
export function usableExample(example: Example): Example {
  if (example.kind === "text") return example;
  checkTexts(example.turns);
  const tools = example.tools ?? undefined;
  const turns = withoutNulls(example.turns, tools);
  if (example.kind === "prompt" && example.answer !== null && isBlank(example.answer))
    throw new RefusedRow("the answer has no text");
  if (example.kind !== "preference") return { ...example, turns };
  for (const side of ["chosen", "rejected"] as const) checkTexts(example[side], side);
  if (hasEqualAnswers(example)) throw new RefusedRow(EQUAL_ANSWERS);
  return {
    ...example,
    turns,
    chosen: withoutNulls(example.chosen, tools),
    rejected: withoutNulls(example.rejected, tools),
  };
}

export const EQUAL_ANSWERS = "the chosen and the rejected answer are the same, so that nothing can be learnt from them";

/** Whether both answers say the same, but for space around them, line ends and the spelling of calls. */
export function hasEqualAnswers({ chosen, rejected }: PreferenceExample): boolean {
  const said = (turns: readonly Turn[]): string =>
    JSON.stringify(
      turns.map(({ role, content }) => {
        const call = role === "tool_call" ? parseJson(content) : undefined;
        return [role, call ?? content.replace(/\r\n?/g, "\n").trim()];
      }),
    );
  return said(chosen) === said(rejected);
}

/** @param side which answer the turns are, where they are one */
function checkTexts(turns: readonly Turn[], side?: "chosen" | "rejected"): void {
  if (side !== undefined && turns.length === 0) throw new RefusedRow(`the ${side} answer has no text`);
  const numbers = { user: 0, assistant: 0 };
  for (const [index, { role, content }] of turns.entries()) {
    if (role !== "user" && role !== "assistant") continue;
    numbers[role]++;
    // Who calls a tool need not say anything.
    if (!isBlank(content) || turns[index + 1]?.role === "tool_call") continue;
    if (role === "assistant" && side !== undefined) throw new RefusedRow(`the ${side} answer has no text`);
    throw new RefusedRow(`${role === "user" ? "question" : "answer"} ${numbers[role]} has no text`);
  }
}

function withoutNulls(turns: readonly Turn[], tools: string | undefined): Turn[] {
  return turns.map((turn) =>
    turn.role === "tool_call" ? { ...turn, content: withoutFilledNulls(turn.content, tools) } : turn,
  );
}
