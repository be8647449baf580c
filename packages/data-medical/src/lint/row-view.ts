/**
 * What the texts of a row are there for, in every format at once: told by their keys, so that a row in which something is
 * missing or wrong can still be looked at.
 */
import { isJsonObject } from "@medgpt/core/json";
import { ROLES, type Role } from "@medgpt/core/chat";
import type { Path } from "./locate.js";

export type Part = "system" | "prompt" | "answer" | "rejected" | "tool" | "text";

export interface RowText {
  readonly path: Path;
  readonly text: string;
  readonly part: Part;
}

/** One turn of a list of turns, as it came. */
export interface Turn {
  readonly path: Path;
  readonly isObject: boolean;
  /** Undefined where the turn lacks it. */
  readonly role: unknown;
  readonly rolePath: Path;
  readonly text: unknown;
  readonly textPath: Path;
  /** Whether it may have no text of its own, as it calls a function. */
  readonly calls: boolean;
  /** OpenAI's tool_calls, as they came. */
  readonly given: readonly unknown[];
}

export interface TurnList {
  readonly path: Path;
  /** Whether roles are ShareGPT's (from: human, gpt) or OpenAI's (role: user, assistant). */
  readonly style: "sharegpt" | "openai";
  /**
   * The part that the list has in its row: it ends with an answer, ends with a question that is answered elsewhere, or
   * is an answer.
   */
  readonly kind: "conversation" | "prompt" | "answer" | "rejected";
  readonly turns: readonly Turn[];
}

export interface RowView {
  readonly texts: readonly RowText[];
  readonly lists: readonly TurnList[];
}

/** Keys of one text each. */
export const TEXT_KEYS: ReadonlyMap<string, Part> = new Map<string, Part>([
  ["text", "text"],
  ["system", "system"],
  ["system_prompt", "system"],
  ["instruction", "prompt"],
  ["input", "prompt"],
  ["question", "prompt"],
  ["query", "prompt"],
  ["prompt", "prompt"],
  ["output", "answer"],
  ["target", "answer"],
  ["answer", "answer"],
  ["response", "answer"],
  ["completion", "answer"],
  ["chosen", "answer"],
  ["response_chosen", "answer"],
  ["rejected", "rejected"],
  ["response_rejected", "rejected"],
]);

/** Keys of lists of turns. */
export const LIST_KEYS: readonly string[] = [
  "conversations",
  "conversation",
  "messages",
  "prompt",
  "completion",
  "chosen",
  "rejected",
];

const PARTS: Readonly<Record<Role, Part>> = {
  system: "system",
  user: "prompt",
  assistant: "answer",
  tool_call: "tool",
  tool: "tool",
};

/** What a turn does, whatever its role is called: an assistant's turn with tool_calls is a call. */
export function roleOf({ role, calls }: Turn): Role | undefined {
  const known = typeof role === "string" ? ROLES.get(role) : undefined;
  return known === "assistant" && calls ? "tool_call" : known;
}

const isFilled = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.length > 0;

/** A part of OpenAI's content, where that is a list. */
export function isTextPart(value: unknown): value is { type: "text"; text: string } {
  return isJsonObject(value) && value["type"] === "text" && typeof value["text"] === "string";
}

/** Keys that rows of a file need, as they come in most of its first rows; of other keys nothing is expected. */
export function expectedKeys(values: readonly unknown[]): string[] {
  const rows = values.filter(isJsonObject);
  const keys = [...new Set([...LIST_KEYS, ...TEXT_KEYS.keys(), "data"])].filter((key) => !OPTIONAL.has(key));
  return keys.filter((key) => rows.filter((row) => key in row).length * 2 > rows.length);
}

const OPTIONAL: ReadonlySet<string> = new Set(["input", "system", "system_prompt"]);

/** The view of a parsed row; of plain text, the text itself. */
export function viewRow(value: unknown): RowView {
  if (typeof value === "string") return { texts: [{ path: [], text: value, part: "text" }], lists: [] };
  if (!isJsonObject(value)) return { texts: [], lists: [] };
  const texts: RowText[] = [];
  const lists: TurnList[] = [];
  for (const [key, part] of TEXT_KEYS) {
    const text = value[key];
    if (typeof text === "string") texts.push({ path: [key], text, part });
  }
  // Answers that stand beside the conversation, which then ends with their question.
  const answered = ["chosen", "rejected", "completion"].some((key) => key in value);
  for (const key of LIST_KEYS) {
    const items = value[key];
    const isTurns = Array.isArray(items) && (key in CONVERSATIONS || items.some(isJsonObject));
    // An answer may be a single turn.
    if (!isTurns && !(isJsonObject(items) && (key === "chosen" || key === "rejected"))) continue;
    const list = turnsOf(key, isTurns ? items : [items], isTurns ? (i) => [key, i] : () => [key], answered);
    lists.push(list);
    for (const turn of list.turns) {
      const role = roleOf(turn);
      const part = list.kind === "rejected" ? "rejected" : role === undefined ? "prompt" : PARTS[role];
      if (typeof turn.text === "string") texts.push({ path: turn.textPath, text: turn.text, part });
      for (const [i, piece] of (Array.isArray(turn.text) ? turn.text : []).entries())
        if (isTextPart(piece)) texts.push({ path: [...turn.textPath, i, "text"], text: piece.text, part });
    }
  }
  const pairs = value["history"]; // Alpaca's earlier turns
  if (Array.isArray(pairs)) {
    for (const [i, pair] of pairs.entries()) {
      if (!Array.isArray(pair)) continue;
      for (const [j, text] of pair.entries())
        if (typeof text === "string")
          texts.push({ path: ["history", i, j], text, part: j === 0 ? "prompt" : "answer" });
    }
  }
  const said = value["data"]; // Huatuo: question and answer in turn
  if (Array.isArray(said)) {
    for (const [i, text] of said.entries())
      if (typeof text === "string") texts.push({ path: ["data", i], text, part: i % 2 === 0 ? "prompt" : "answer" });
  }
  return { texts, lists };
}

const CONVERSATIONS: Readonly<Record<string, true>> = { conversations: true, conversation: true, messages: true };

function turnsOf(key: string, items: readonly unknown[], pathOf: (index: number) => Path, answered: boolean): TurnList {
  const openai = items.some((item) => isJsonObject(item) && ("role" in item || "content" in item) && !("from" in item));
  const [roleKey, textKey] = openai ? ["role", "content"] : ["from", "value"];
  const turns = items.map((item, index): Turn => {
    const path = pathOf(index);
    const fields = isJsonObject(item) ? item : {};
    return {
      path,
      isObject: isJsonObject(item),
      role: fields[roleKey],
      rolePath: [...path, roleKey],
      text: fields[textKey],
      textPath: [...path, textKey],
      calls: isJsonObject(item) && (isFilled(item["tool_calls"]) || isJsonObject(item["function_call"])),
      given: isJsonObject(item) && isFilled(item["tool_calls"]) ? item["tool_calls"] : [],
    };
  });
  const kinds: Readonly<Record<string, TurnList["kind"]>> = {
    prompt: "prompt",
    completion: "answer",
    chosen: "answer",
    rejected: "rejected",
  };
  const kind = kinds[key] ?? (answered ? "prompt" : "conversation");
  return { path: [key], style: openai ? "openai" : "sharegpt", kind, turns };
}
