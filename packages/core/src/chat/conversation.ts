/**
 * Rows of chat data as questions and answers: ShareGPT's `conversations` (from, value) as MedicalGPT reads it, or OpenAI's
 * `messages` (role, content). What tools do is part of the text, in a tool format.
 */
import { InputError } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../json/read-json-object.js";
import { isBlank } from "./is-blank.js";
import type { LeftOut } from "./left-out.js";
import { listElements, pythonJson, valueOf } from "./python-json.js";
import { readCalls, toolsText, withoutFilledNulls } from "./tool-calls.js";
import {
  NO_TOOL_FORMAT,
  TOOL_FORMATS,
  type FunctionCall,
  type ToolFormat,
  type ToolFormatName,
} from "./tool-formats.js";
import { readTurns, turnColumn } from "./turns.js";

export interface Conversation {
  /** "" where there is none. */
  readonly system: string;
  readonly turns: readonly (readonly [question: string, answer: string])[];
}

export interface ReadConversationOptions {
  /** Where the row is, for errors. */
  readonly place: string;
  /** How tools are written; null as calls alone, without their descriptions. */
  readonly toolFormat: ToolFormatName | null;
  /** Told of everything in the row that is left out or not read. */
  readonly onLeftOut?: (what: LeftOut) => void;
  /** Told of every text of the row, as it stands there. */
  readonly onText?: (text: string) => void;
}

type Row = Readonly<Record<string, unknown>>;

/** A system prompt that no turn gives; the first that is there counts. */
const SYSTEM_COLUMNS = ["system_prompt", "system"] as const;

/**
 * Turns of one side that follow each other are joined by a line break, so that questions and answers alternate. A question
 * that nobody answers, an answer to none, and both where one has no text are left out, as are turns of other roles.
 * @throws InputError for a row of another form
 */
export function readConversation(
  row: Row,
  { place, toolFormat, onLeftOut = () => undefined, onText = () => undefined }: ReadConversationOptions,
): Conversation {
  const format = toolFormat === null ? undefined : TOOL_FORMATS[toolFormat];
  const { call, observation } = format ?? NO_TOOL_FORMAT;
  const tools = toolsText(row["tools"], `${place}: tools`);
  if (tools !== undefined) {
    onText(tools);
    if (format === undefined) onLeftOut("row with tools that are not shown");
  }
  const column = columnOf(row, place);
  const prompts: string[] = [];
  const turns = new Alternation(onLeftOut);
  for (const { role, name, content, place: where, unread } of readTurns(row[column], `${place}: ${column}`)) {
    for (const key of unread) onLeftOut(`turn with ${describeJson(key)}`);
    onText(content);
    if (role === undefined) onLeftOut(`turn of role ${describeJson(name)}`);
    else if (role === "system")
      prompts.unshift(content); // the last one counts
    else if (role === "user") turns.add("question", content);
    else if (role === "tool") turns.add("question", observation(content));
    else if (role === "assistant") turns.add("answer", content);
    else {
      const declared = withoutFilledNulls(content, tools);
      if (declared !== content) onLeftOut("call with null for what its tool does not declare");
      const calls = readCalls(declared)?.map(({ name, arguments: input }) => ({ name, arguments: pythonJson(input) }));
      turns.add("answer", calls === undefined ? declared : writeCalls(calls, call, where));
    }
  }
  prompts.push(...columnPrompts(row, place, onText));
  const said = prompts.find((prompt) => prompt !== "") ?? "";
  if (prompts.some((prompt) => prompt !== "" && prompt !== said)) onLeftOut("row with two system prompts");
  const { answered, unanswered } = turns.end();
  if (unanswered && isSaid(row["chosen"]) && isSaid(row["rejected"])) throw anotherKind(row, place)!;
  const read: readonly string[] = [column, "tools", ...SYSTEM_COLUMNS];
  for (const key of Object.keys(row))
    if (!read.includes(key) && isSaid(row[key])) onLeftOut(`column ${describeJson(key)}`);
  const described = tools === undefined ? "" : (format?.describe(functionsOf(tools)) ?? "");
  return { system: [said, described].filter((part) => part !== "").join("\n\n"), turns: answered };
}

/** Questions and answers in turn. */
class Alternation {
  readonly #turns: [question: string, answer: string | undefined][] = [];

  constructor(readonly onLeftOut: (what: LeftOut) => void) {}

  add(side: "question" | "answer", text: string): void {
    const last = this.#turns.at(-1);
    if (side === "answer") {
      if (last === undefined) this.onLeftOut("answer before the first question");
      else last[1] = last[1] === undefined || isBlank(last[1]) ? text : `${last[1]}\n${text}`;
    } else if (last === undefined || last[1] !== undefined) this.#turns.push([text, undefined]);
    else last[0] += `\n${text}`;
  }

  /** The turns that can be learnt, and whether a question came after them. */
  end(): { readonly answered: [string, string][]; readonly unanswered: boolean } {
    const unanswered = this.#turns.at(-1)?.[1] === undefined && this.#turns.length > 0;
    if (unanswered) this.onLeftOut("question without an answer");
    const answered = this.#turns.filter((turn): turn is [string, string] => {
      const [question, answer] = turn;
      if (answer === undefined) return false;
      const empty = isBlank(answer) ? "answer" : isBlank(question) ? "question" : undefined;
      if (empty !== undefined) this.onLeftOut(`${empty} without text`);
      return empty === undefined;
    });
    return { answered, unanswered };
  }
}

/** The column that has the turns. */
function columnOf(row: Row, place: string): "conversations" | "messages" {
  const column = turnColumn(row);
  if (column !== undefined && Array.isArray(row[column])) return column;
  const got = column === undefined ? `the fields ${Object.keys(row).join(", ") || "none"}` : describeJson(row[column]);
  const expected = 'a list "conversations" of {from, value} or "messages" of {role, content}';
  throw (
    anotherKind(row, place) ??
    new InputError(`expected ${expected}, got ${got}; medgpt data convert --to sharegpt writes it from other forms`, {
      place,
    })
  );
}

/** What to say of a row that holds what other stages learn from. */
function anotherKind(row: Row, place: string): InputError | undefined {
  const has = (...names: string[]): boolean => names.every((name) => isSaid(row[name]));
  const refuse = (text: string): InputError => new InputError(text, { place });
  if (has("chosen", "rejected") || has("response_chosen", "response_rejected"))
    return refuse(
      "this looks like preference data, two answers to each question, which reward models and DPO learn from; fine-tuning reads conversations: to learn the better answers, put each as the last turn of its conversation, and leave both columns out",
    );
  const answers = ["output", "answer", "response", "completion", "target", "data"];
  if (answers.some((name) => has(name))) return undefined;
  if (has("text"))
    return refuse(
      'this looks like plain text ("text"), which medgpt pretrain learns from; fine-tuning reads conversations',
    );
  const question = ["prompt", "question", "query", "instruction"].find((name) => has(name));
  if (question === undefined) return undefined;
  return refuse(
    `this looks like questions without answers ("${question}"); fine-tuning reads conversations, which have both: medgpt generate answers questions`,
  );
}

function columnPrompts(row: Row, place: string, onText: (text: string) => void): string[] {
  return SYSTEM_COLUMNS.flatMap((column) => {
    const prompt = row[column];
    if (!isSaid(prompt)) return [];
    if (typeof prompt !== "string")
      throw new InputError(`expected text, got ${describeJson(prompt)}`, { place: `${place}: ${column}` });
    onText(prompt);
    return [prompt];
  });
}

function isSaid(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function writeCalls(calls: readonly FunctionCall[], write: ToolFormat["call"], place: string): string {
  try {
    return write(calls);
  } catch (cause) {
    throw new InputError((cause as Error).message, { place, cause });
  }
}

/** Tools as the formats take them: OpenAI wraps each, and they do so themselves. */
function functionsOf(tools: string): string {
  const functions = listElements(tools).map((tool) => {
    const { function: own } = JSON.parse(tool) as Row;
    return isJsonObject(own) ? valueOf(tool, "function") : tool;
  });
  return `[${functions.join(",")}]`;
}
