import { isJsonObject } from "@medgpt/core/json";
import { isBlank } from "@medgpt/core/chat";
import { isTextPart, TEXT_KEYS, type Turn } from "../row-view.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const missing: Rule = {
  name: "missing",
  finds: "Texts, turns and roles that are missing, null, empty or of the wrong type.",
  fixes: "removes empty turns at the end of a conversation",
  start: () => checkMissing,
};

const ADD = "add it, or remove the row";

function* checkMissing({ plain, value, expected, texts, lists }: LintRow): Generator<Problem> {
  if (plain || !isJsonObject(value)) return;
  const fields = value;
  if (expected.length === 0 && texts.length === 0 && lists.length === 0) {
    const keys = `conversations, messages, ${[...TEXT_KEYS.keys()].join(", ")}`;
    yield {
      path: [],
      message: "no text under a key that is known",
      advice: `name its keys as one format does: ${keys}`,
    };
  }
  for (const key of expected) {
    const field = fields[key];
    const wrong = field === undefined ? "is missing" : wrongText(field);
    const isList = typeof field === "object" && field !== null && (!Array.isArray(field) || field.length > 0);
    if (wrong !== undefined && !isList) yield { path: [key], message: `${key} ${wrong}`, advice: ADD };
  }
  for (const [i, text] of (Array.isArray(fields["data"]) ? fields["data"] : []).entries()) {
    const wrong = wrongText(typeof text === "string" ? text.replace(/^\s*[问答]\s*[:：]/, "") : text);
    if (wrong !== undefined) yield { path: ["data", i], message: `the turn ${wrong}`, advice: ADD };
  }
  for (const { path, text } of texts)
    if (path[0] === "history" && isBlank(text)) yield { path, message: "the turn's text is empty", advice: ADD };
  for (const { turns } of lists) {
    for (const [i, turn] of turns.entries()) yield* checkTurn(turn, i > 0 && i === turns.length - 1);
  }
}

function* checkTurn(
  { path, isObject, role, rolePath, text, textPath, calls }: Turn,
  last: boolean,
): Generator<Problem> {
  if (!isObject) {
    yield { path, message: "a turn that is no object", advice: "write it as an object with its role and text" };
    return;
  }
  const wrongRole = wrongText(role);
  if (wrongRole !== undefined)
    yield { path: rolePath, message: `the role ${wrongRole}`, advice: "say who speaks, or remove the row" };
  const wrong = calls && (text === null || text === undefined || text === "") ? undefined : wrongText(text);
  if (wrong === undefined) return;
  const message = `the turn's text ${wrong}`;
  if (!last || (typeof text !== "string" && text !== null && text !== undefined)) {
    yield { path: textPath, message, advice: ADD };
  } else yield { path: textPath, message, advice: "remove the turn", repair: "remove item" };
}

/** The problem with a value that should be a text and not empty. */
function wrongText(text: unknown): string | undefined {
  if (typeof text === "string") return isBlank(text) ? "is empty" : undefined;
  if (text === undefined) return "is missing";
  if (text === null) return "is null";
  if (Array.isArray(text) && text.length > 0 && text.every(isTextPart))
    return isBlank(text.map((part) => part.text).join("")) ? "is empty" : undefined;
  return Array.isArray(text) ? "is a list" : `is a ${typeof text}`;
}
