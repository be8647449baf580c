import type { Role } from "../../formats/example.js";
import { roleOf, type TurnList } from "../row-view.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const roleOrder: Rule = {
  name: "role-order",
  finds:
    "Turns out of order: a system turn that is not first, the same side twice, a result without its call, no answer at the end.",
  start: () => checkOrder,
};

/** What may come after a turn; several calls may be made at once and have their results one after the other. */
const AFTER: Readonly<Record<Role | "start", readonly Role[]>> = {
  start: ["system", "user"],
  system: ["user"],
  user: ["assistant", "tool_call"],
  assistant: ["user", "tool_call"],
  tool_call: ["tool", "tool_call"],
  tool: ["assistant", "tool_call", "tool"],
};

/** What a list may end with: a call is an answer too. */
const ENDS: Readonly<Record<TurnList["kind"], readonly Role[]>> = {
  conversation: ["assistant", "tool_call"],
  prompt: ["user", "tool"],
  answer: ["assistant", "tool_call"],
  rejected: ["assistant", "tool_call"],
};

/** What ShareGPT calls them. */
const SHAREGPT: Readonly<Record<Role, string>> = {
  system: "system",
  user: "human",
  assistant: "gpt",
  tool_call: "function_call",
  tool: "observation",
};

function* checkOrder({ lists }: LintRow): Generator<Problem> {
  for (const list of lists) yield* checkList(list);
}

function* checkList({ kind, style, turns }: TurnList): Generator<Problem> {
  const names = (...roles: readonly Role[]): string =>
    roles.map((role) => (style === "sharegpt" ? SHAREGPT[role] : role)).join(" or ");
  let before: Role | "start" | undefined = "start";
  for (const turn of turns) {
    const role = roleOf(turn);
    if (before !== undefined && role !== undefined && !AFTER[before].includes(role)) {
      // An answer may begin with itself or with the conversation that it ends.
      const begins = before === "start" && (kind === "answer" || kind === "rejected");
      if (!(begins && ENDS.answer.includes(role))) {
        const place = before === "start" ? "comes first" : `follows ${names(before)}`;
        const message = `${names(role)} ${place}; expected ${names(...AFTER[before])}`;
        yield { path: turn.rolePath, message, advice: "put the turns in order, or remove the row" };
        return; // what follows is out of order because of it
      }
    }
    before = role;
  }
  const last = turns.at(-1);
  if (last === undefined || before === undefined || before === "start" || ENDS[kind].includes(before)) return;
  const message = `the turns end with ${names(before)}; expected ${names(...ENDS[kind])}`;
  const advice = kind === "prompt" ? "remove what comes after the question" : "add the answer, or remove the row";
  yield { path: last.rolePath, message, advice };
}
