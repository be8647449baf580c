import { readCalls, type FunctionCall } from "@medgpt/core/chat";
import { halfPairs } from "@medgpt/core/json";

import type { Turn } from "../formats/example.js";
import { parseJson, shown } from "../formats/json.js";
import { RefusedRow } from "../formats/refused-row.js";
import { asChat, type Target } from "./target.js";

/** What OpenAI's interfaces and TRL read. */
export const messages: Target = {
  kind: "chat",
  columns: ["messages", "tools"],
  write: (example) => {
    const { turns, tools } = asChat(example, "messages");
    return { messages: openaiMessages(turns), ...toolList(tools) };
  },
};

/** The `tools` column as a list. */
export function toolList(tools: string | null): { tools?: unknown } {
  if (tools === null) return {};
  if (halfPairs(tools).next().done !== true)
    throw new RefusedRow("expected Unicode in the tools, got half of a character whose other half is missing");
  return { tools: parseJson(tools) };
}

interface Message {
  readonly role: string;
  readonly content: string;
  readonly tool_calls?: readonly { readonly id: string }[];
  readonly tool_call_id?: string;
}

/** Turns as OpenAI's messages. Calls and their results are joined by ids, which are made up: results follow their calls. */
export function openaiMessages(turns: readonly Turn[]): Message[] {
  const made: Message[] = [];
  let open: string[] = [];
  let ids = 0;
  for (const [index, { role, content }] of turns.entries()) {
    if (role !== "tool" && open.length > 0)
      throw new RefusedRow("messages needs a result of each tool call before the next turn, and one has none");
    if (role === "tool_call") {
      const tool_calls = toolCalls(content).map((call) => ({ id: `call_${ids++}`, type: "function", function: call }));
      open = tool_calls.map(({ id }) => id);
      const said = turns[index - 1]?.role === "assistant" ? made.pop()!.content : "";
      made.push({ role: "assistant", content: said, tool_calls });
    } else if (role === "tool") {
      const id = open.shift();
      if (id === undefined) throw new RefusedRow("messages needs a tool call before each result, and one has none");
      made.push({ role, content, tool_call_id: id });
    } else made.push({ role, content });
  }
  return made;
}

function toolCalls(text: string): readonly FunctionCall[] {
  const calls = readCalls(text);
  if (calls === undefined)
    throw new RefusedRow(`messages needs tool calls with a name and arguments in JSON, got ${shown(text)}`);
  return calls;
}
