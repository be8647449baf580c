import { InputError } from "@medgpt/artifacts";
import { callsText, toolCallText, toolsText, withoutFilledNulls } from "@medgpt/core/chat";
import type { Path } from "../locate.js";
import { roleOf } from "../row-view.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const toolCalls: Rule = {
  name: "tool-calls",
  finds:
    "Tools that are no JSON list, arguments of calls that are no JSON object, and nulls for what a tool does not declare.",
  start: () => checkCalls,
};

function* checkCalls({ value, lists, plain }: LintRow): Generator<Problem> {
  if (plain || lists.length === 0) return;
  const column = (value as Readonly<Record<string, unknown>>)["tools"];
  const tools = read(() => toolsText(column, ""));
  if ("fault" in tools) yield { path: ["tools"], message: tools.fault, advice: "write them as a JSON list of objects" };
  for (const { turns } of lists) {
    for (const turn of turns) {
      if (roleOf(turn) !== "tool_call") continue;
      const { text, textPath, path, given } = turn;
      const written: [Path, () => string][] = given.map((call, index) => [
        [...path, "tool_calls", index, "function", "arguments"],
        () => callsText([call], ""),
      ]);
      if (given.length === 0 && typeof text === "string") written.push([textPath, () => toolCallText(text, "")]);
      for (const [place, write] of written) {
        const call = read(write);
        if ("fault" in call) yield { path: place, message: call.fault, advice: "write an object, or remove the row" };
        else if (withoutFilledNulls(call.value, "fault" in tools ? undefined : tools.value) !== call.value)
          yield {
            path: place,
            message: "null for what its tool does not declare, as tables fill it in",
            advice: "leave it out, or declare it",
          };
      }
    }
  }
}

type Read<T> = { readonly value: T } | { readonly fault: string };

function read<T>(parse: () => T): Read<T> {
  try {
    return { value: parse() };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { fault: error.message.replace(/^: /, "") };
  }
}
