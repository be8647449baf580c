/** Lists of turns: ShareGPT's {from, value} and OpenAI's {role, content}, under every name that their roles have. */
import type { Role, Turn } from "./example.js";
import { parseJson, shown } from "./json.js";
import { RefusedRow } from "./refused-row.js";

/** What the names of roles mean, whatever their case. */
export const ROLES: Readonly<Record<string, Role>> = {
  system: "system",
  developer: "system",
  human: "user",
  user: "user",
  gpt: "assistant",
  assistant: "assistant",
  bard: "assistant",
  bing: "assistant",
  bot: "assistant",
  chatbot: "assistant",
  chatgpt: "assistant",
  model: "assistant",
  function_call: "tool_call",
  tool_call: "tool_call",
  observation: "tool",
  tool: "tool",
  function: "tool",
  function_response: "tool",
  tool_response: "tool",
};

/** A text is one turn of the role, an object one turn, and a list several. */
export function toTurns(value: unknown, role: Role, column: string): Turn[] {
  if (typeof value === "string") return [{ role, content: value }];
  return readTurns(Array.isArray(value) ? value : [value], column);
}

/** @throws RefusedRow for what is no turn, has an unknown role, or says what a turn here cannot */
export function readTurns(value: unknown, column: string): Turn[] {
  if (!Array.isArray(value)) throw new RefusedRow(`expected a list of turns in "${column}", got ${shown(value)}`);
  if (value.length === 0) throw new RefusedRow(`expected turns in "${column}", got none`);
  const calls: unknown[] = []; // ids of calls that have no result yet
  return value.flatMap((turn: unknown, index): Turn[] => {
    const place = `"${column}"[${index}]`;
    if (typeof turn !== "object" || turn === null)
      throw new RefusedRow(
        `expected an object with from and value, or role and content, in ${place}, got ${shown(turn)}`,
      );
    const { from, value, role, content, tool_calls, function_call, tool_call_id, name, ...others } = turn as Fields;
    const said = from ?? role;
    const known = typeof said === "string" ? ROLES[said.toLowerCase()] : undefined;
    if (known === undefined) throw new RefusedRow(`unknown role ${shown(said)} in ${place}`);
    const unknown = Object.entries({ ...others, ...(known !== "tool" && { name }) }).find(([, other]) => isSaid(other));
    if (unknown !== undefined) throw new RefusedRow(`${place} has "${unknown[0]}", which no other format can say`);

    const legacy = isSaid(function_call) ? [{ function: function_call }] : [];
    const made = isSaid(tool_calls) ? tool_calls : legacy;
    if (!Array.isArray(made)) throw new RefusedRow(`expected a list of tool calls in ${place}, got ${shown(made)}`);
    const text = from === undefined ? content : value;
    if (made.length > 0) {
      if (known !== "assistant")
        throw new RefusedRow(`expected tool calls of the assistant alone, got them in ${place}`);
      calls.push(...made.map((call: { id?: unknown }) => call?.id));
      const said = isSaid(text) && text !== "" ? [{ role: known, content: textOf(text, place) }] : [];
      return [...said, { role: "tool_call", content: callsText(made, place) }];
    }
    if (known === "tool" && isSaid(tool_call_id)) {
      const expected = calls.shift();
      if (isSaid(expected) && expected !== tool_call_id)
        throw new RefusedRow(`expected the results of tool calls in the order of the calls, got another in ${place}`);
    }
    return [{ role: known, content: textOf(text, place) }];
  });
}

type Fields = Partial<Record<string, unknown>>;

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** Text, or the text parts that OpenAI's content may consist of. */
function textOf(content: unknown, place: string): string {
  if (typeof content === "string") return content;
  const parts: unknown[] = Array.isArray(content) ? content : [undefined];
  return parts
    .map((part) => {
      const { type, text } = (part ?? {}) as Fields;
      if (type === "text" && typeof text === "string") return text;
      throw new RefusedRow(`expected text in ${place}, got ${shown(content)}`);
    })
    .join("");
}

/** Tool calls as ShareGPT's function_call has them. */
function callsText(calls: readonly unknown[], place: string): string {
  const plain = calls.map((call) => {
    const { name, arguments: given } = ((call as Fields | null)?.["function"] ?? call ?? {}) as Fields;
    const parsed = typeof given === "string" ? parseJson(given) : given;
    if (typeof name !== "string" || parsed === undefined)
      throw new RefusedRow(`expected a tool call with a name and arguments in JSON in ${place}, got ${shown(call)}`);
    return { name, arguments: parsed };
  });
  return JSON.stringify(plain.length === 1 ? plain[0] : plain);
}
