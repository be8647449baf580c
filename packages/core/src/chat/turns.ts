/**
 * The turns of chat data, for every command that reads them: ShareGPT's {from, value} and OpenAI's {role, content}, under
 * every name that their roles have, and the tools beside them.
 */
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../json/read-json-object.js";
import { callsText, toolCallText } from "./tool-calls.js";

export type Role = "system" | "user" | "assistant" | "tool_call" | "tool";

/** What the names of roles mean, whatever their case. */
export const ROLES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ["system", "system"],
  ["developer", "system"],
  ["human", "user"],
  ["user", "user"],
  ["gpt", "assistant"],
  ["assistant", "assistant"],
  ["bard", "assistant"],
  ["bing", "assistant"],
  ["bot", "assistant"],
  ["chatbot", "assistant"],
  ["chatgpt", "assistant"],
  ["model", "assistant"],
  ["function_call", "tool_call"],
  ["tool_call", "tool_call"],
  ["observation", "tool"],
  ["tool", "tool"],
  ["function", "tool"],
  ["function_response", "tool"],
  ["tool_response", "tool"],
]);

export interface ChatTurn {
  /** undefined if `name` is not a known role; then the turn is not read. */
  readonly role: Role | undefined;
  /** What the row calls the role. */
  readonly name: unknown;
  /** Of a tool_call, the JSON of an object with "name" and "arguments", or of a list of them. */
  readonly content: string;
  /** Where the turn is. */
  readonly place: string;
  /** Keys that say something which is not read. */
  readonly unread: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

/**
 * A message with text and calls is two turns.
 * @param place where the list is, for errors
 * @throws InputError for an element that is not a turn or has no text, and for parts or calls of another form
 */
export function readTurns(list: unknown, place: string): ChatTurn[] {
  if (!Array.isArray(list)) throw new InputError(`expected a list of turns, got ${describeJson(list)}`, { place });
  const open: unknown[] = []; // ids of calls that have no result yet
  return list.flatMap((turn: unknown, index) => readTurn(turn, `${place}[${index}]`, open));
}

function readTurn(turn: unknown, place: string, open: unknown[]): ChatTurn[] {
  if (!isJsonObject(turn))
    throw new InputError(`expected an object with from and value, or role and content, got ${describeJson(turn)}`, {
      place,
    });
  const { from, value, role, content, tool_calls, function_call, tool_call_id, ...others } = turn;
  const sharegpt = isSaid(from);
  const name = sharegpt ? from : role;
  const known = typeof name === "string" ? ROLES.get(name.toLowerCase()) : undefined;
  if (known === undefined) return [{ role: undefined, name, content: "", place, unread: [] }];
  // A result may name its function, which its call has named.
  const unread = Object.keys(others).filter((key) => isSaid(others[key]) && !(known === "tool" && key === "name"));
  const made = (role: Role, content: string): ChatTurn => ({ role, name, content, place, unread });
  const [key, text] = sharegpt ? (["value", value] as const) : (["content", content] as const);

  const legacy = isSaid(function_call) ? [{ function: function_call }] : [];
  const calls = isSaid(tool_calls) ? tool_calls : legacy;
  if (!Array.isArray(calls))
    throw new InputError(`expected a list, got ${describeJson(calls)}`, { place: `${place}: tool_calls` });
  if (calls.length > 0) {
    if (known !== "assistant") throw new InputError("expected tool calls of the assistant alone", { place });
    open.push(...calls.map((call: unknown) => (isJsonObject(call) ? call["id"] : undefined)));
    const said = isSaid(text) ? [{ ...made(known, textOf(text, key, place)), unread: [] }] : [];
    return [...said, made("tool_call", callsText(calls, `${place}: tool_calls`))];
  }
  if (known === "tool" && isSaid(tool_call_id)) {
    const expected = open.shift();
    if (isSaid(expected) && expected !== tool_call_id)
      throw new InputError("expected the results of tool calls in the order of the calls, got another", { place });
  }
  const said = textOf(text, key, place);
  return [made(known, known === "tool_call" ? toolCallText(said, place) : said)];
}

/** Tables have null, and exports "" or [], for what a turn does not have. */
function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0);
}

/** Text, or the text parts that OpenAI's content may consist of. */
function textOf(content: unknown, key: string, place: string): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content))
    throw new InputError(`expected a string "${key}", got ${describeJson(content)}`, { place });
  return content
    .map((part: unknown) => {
      const { type, text }: Fields = isJsonObject(part) ? part : {};
      if (type === "text" && typeof text === "string") return text;
      const got =
        typeof type === "string" && type !== "text" ? `a part of type ${describeJson(type)}` : describeJson(part);
      throw new InputError(`expected a string "${key}" or a list of parts that are text, got ${got}`, { place });
    })
    .join("");
}

/** The column of a row that has its turns; undefined where it has none. ShareGPT's comes first. */
export function turnColumn(row: Fields): "conversations" | "messages" | undefined {
  return (["conversations", "messages"] as const).find((column) => isSaid(row[column]) || Array.isArray(row[column]));
}
