/**
 * Rows of chat data as questions and answers: ShareGPT's `conversations` (from, value) as MedicalGPT reads it, or OpenAI's
 * `messages` (role, content). What tools do is part of the text, in a tool format.
 */
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../checkpoint/read-json-object.js";
import { listElements, pythonJson } from "./python-json.js";
import {
  NO_TOOL_FORMAT,
  TOOL_FORMATS,
  valueOf,
  type FunctionCall,
  type ToolFormat,
  type ToolFormatName,
} from "./tool-formats.js";

export interface Conversation {
  /** "" where there is none. */
  readonly system: string;
  readonly turns: readonly (readonly [question: string, answer: string])[];
}

/** Turns that are left out. */
export type LeftOut = "answer before the first question" | "question without an answer" | `turn of role ${string}`;

export interface ReadConversationOptions {
  /** Where the row is, for errors. */
  readonly place: string;
  /** How tools are written; null as calls alone, without their descriptions. */
  readonly toolFormat: ToolFormatName | null;
  /** Told of every turn that is left out. */
  readonly onLeftOut?: (what: LeftOut) => void;
}

type Kind = "system" | "question" | "answer" | "call" | "observation";

const ROLES: ReadonlyMap<unknown, Kind> = new Map<string, Kind>([
  ["system", "system"],
  ["human", "question"],
  ["user", "question"],
  ["gpt", "answer"],
  ["assistant", "answer"],
  ["function_call", "call"],
  ["observation", "observation"],
  ["tool", "observation"],
]);

/**
 * Turns of one side that follow each other are joined by a line break, so that questions and answers alternate; a question
 * that nobody answers, and an answer to none, are left out, as are turns of other roles.
 * @throws InputError for a row of another form
 */
export function readConversation(
  row: Readonly<Record<string, unknown>>,
  { place, toolFormat, onLeftOut = () => undefined }: ReadConversationOptions,
): Conversation {
  const format = toolFormat === null ? undefined : TOOL_FORMATS[toolFormat];
  const { call, observation } = format ?? NO_TOOL_FORMAT;
  const given = readTools(row["tools"], place);
  const tools = given === undefined ? "" : (format?.describe(given) ?? "");
  let said = "";
  const turns: [string, string | undefined][] = [];
  const add = (side: "question" | "answer", text: string): void => {
    const last = turns.at(-1);
    if (side === "answer") {
      if (last === undefined) onLeftOut("answer before the first question");
      else last[1] = last[1] === undefined ? text : `${last[1]}\n${text}`;
    } else if (last === undefined || last[1] !== undefined) turns.push([text, undefined]);
    else last[0] += `\n${text}`;
  };

  for (const { role, text, calls, where } of readTurns(row, place)) {
    const kind = ROLES.get(role);
    if (kind === undefined) onLeftOut(`turn of role ${describeJson(role)}`);
    else if (kind === "system") said = text;
    else if (kind === "question") add("question", text);
    else if (kind === "observation") add("question", observation(text));
    else {
      const asked = kind === "call" ? readCalls(text, where) : calls;
      const written = asked === undefined || asked.length === 0 ? undefined : writeCalls(asked, call, where);
      if (kind === "call") add("answer", written ?? text);
      else add("answer", [text, written].filter((part) => part !== undefined && part !== "").join("\n"));
    }
  }
  if (turns.at(-1)?.[1] === undefined && turns.length > 0) {
    onLeftOut("question without an answer");
    turns.pop();
  }
  const system = said + (said !== "" && tools !== "" ? "\n\n" : "") + tools;
  const column = row["system_prompt"] ?? row["system"];
  return {
    system: system === "" && typeof column === "string" ? column : system,
    turns: turns as [string, string][],
  };
}

function writeCalls(calls: readonly FunctionCall[], write: ToolFormat["call"], place: string): string {
  try {
    return write(calls);
  } catch (cause) {
    throw new InputError((cause as Error).message, { place, cause });
  }
}

interface Turn {
  readonly role: unknown;
  readonly text: string;
  /** Of an OpenAI message. */
  readonly calls?: readonly FunctionCall[];
  readonly where: string;
}

function readTurns(row: Readonly<Record<string, unknown>>, place: string): Turn[] {
  const sharegpt = row["conversations"] !== undefined;
  const [column, who, what] = sharegpt ? ["conversations", "from", "value"] : ["messages", "role", "content"];
  const list = row[column];
  if (!Array.isArray(list)) {
    const got = list === undefined ? `the fields ${Object.keys(row).join(", ") || "none"}` : describeJson(list);
    throw new InputError(
      `expected a list "conversations" of {from, value} or "messages" of {role, content}, got ${got}; medgpt data convert --to sharegpt writes it from other forms`,
      { place },
    );
  }
  return list.map((turn: unknown, index): Turn => {
    const where = `${place}: ${column}[${index}]`;
    if (!isJsonObject(turn)) throw new InputError(`expected an object, got ${describeJson(turn)}`, { place: where });
    const calls = sharegpt ? undefined : readToolCalls(turn["tool_calls"], where);
    const text = turn[what] ?? (calls === undefined ? undefined : "");
    if (typeof text !== "string")
      throw new InputError(`expected a string "${what}", got ${describeJson(turn[what])}`, { place: where });
    return { role: turn[who], text, where, ...(calls && { calls }) };
  });
}

/** The tools of a row as a JSON list; undefined where it has none. */
function readTools(tools: unknown, place: string): string | undefined {
  if (tools === undefined || tools === null || tools === "") return undefined;
  const text = typeof tools === "string" ? tools : JSON.stringify(tools);
  const list = parse(text, `${place}: tools`);
  if (!Array.isArray(list) || !list.every(isJsonObject))
    throw new InputError(`expected a JSON list of tools, got ${describeJson(list)}`, { place: `${place}: tools` });
  if (list.length === 0) return undefined;
  // OpenAI wraps each tool; the formats do so themselves.
  return `[${listElements(text)
    .map((tool, index) => (isJsonObject(list[index]!["function"]) ? valueOf(tool, "function") : tool))
    .join(",")}]`;
}

/** The calls of a turn of role function_call: one or a list; undefined where it is something else. */
function readCalls(text: string, where: string): FunctionCall[] | undefined {
  const value = parse(text, where);
  const texts = Array.isArray(value) ? listElements(text) : [text];
  const calls = (Array.isArray(value) ? (value as unknown[]) : [value]).map((one, index) => {
    if (!isJsonObject(one) || !("name" in one) || !("arguments" in one)) return undefined;
    return { name: String(one["name"]), arguments: pythonJson(valueOf(texts[index]!, "arguments")) };
  });
  return calls.every((one) => one !== undefined) ? calls : undefined;
}

/** OpenAI's tool_calls, whose arguments are JSON in a string, or an object. */
function readToolCalls(calls: unknown, where: string): FunctionCall[] | undefined {
  if (calls === undefined || calls === null) return undefined;
  const place = `${where}: tool_calls`;
  if (!Array.isArray(calls)) throw new InputError(`expected a list, got ${describeJson(calls)}`, { place });
  return calls.map((one: unknown) => {
    const call = isJsonObject(one) ? (one["function"] ?? one) : undefined;
    if (!isJsonObject(call) || typeof call["name"] !== "string")
      throw new InputError(`expected {"function": {"name", "arguments"}}, got ${describeJson(one)}`, { place });
    const input = call["arguments"] ?? {};
    const text = typeof input === "string" ? input : JSON.stringify(input);
    parse(text, place);
    return { name: call["name"], arguments: pythonJson(text) };
  });
}

function parse(text: string, place: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new InputError(`expected JSON, got ${describeJson(text)} (${(cause as Error).message})`, { place, cause });
  }
}
