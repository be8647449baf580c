/** Formats of a prompt with a better and a worse answer. */
import type { DataRow } from "@medgpt/core/data";

import { parseTranscript } from "./belle.js";
import type { PreferenceExample, Role, Turn } from "./example.js";
import { all, CONTEXT_COLUMNS, contextTurns, conversationTurns, has, toolsOf, without } from "./format.js";
import type { Format } from "./format.js";
import { shown } from "./json.js";
import { RefusedRow } from "./refused-row.js";
import { toTurns } from "./turns.js";

/** Whom an answer answers. */
const ASKERS: readonly Role[] = ["user", "tool"];

/** MedicalGPT's and LLaMA-Factory's. */
export const sharegptPreference: Format = {
  name: "preference",
  kind: "preference",
  about: "`conversations`, `chosen`, `rejected`; optional `system`, `tools`",
  matches: (row) => all(row, "conversations", "chosen", "rejected"),
  read: (row) =>
    preference(
      conversationTurns(row, "conversations"),
      toTurns(row["chosen"], "assistant", "chosen"),
      toTurns(row["rejected"], "assistant", "rejected"),
      toolsOf(row),
      without(row, "conversations", "chosen", "rejected", "system", "system_prompt", "tools"),
    ),
};

/** That of shibing624/medical's reward data. */
export const qaPreference: Format = {
  name: "preference-qa",
  kind: "preference",
  about: "`question`, `response_chosen`, `response_rejected`; optional `system`, `history`",
  matches: (row) => all(row, "question", "response_chosen", "response_rejected"),
  read: (row) =>
    preference(
      contextTurns(row, row["question"], "question"),
      toTurns(row["response_chosen"], "assistant", "response_chosen"),
      toTurns(row["response_rejected"], "assistant", "response_rejected"),
      null,
      without(row, "question", "response_chosen", "response_rejected", ...CONTEXT_COLUMNS),
    ),
};

/** TRL's format: the prompt has a column of its own, or both answers begin with it. */
export const trlPreference: Format = {
  name: "preference-trl",
  kind: "preference",
  about: "`chosen`, `rejected` and mostly `prompt`: texts or lists of messages; optional `system`, `tools`",
  matches: (row) =>
    has(row, "conversations")
      ? undefined
      : (all(row, "prompt", "chosen", "rejected") ?? all(row, "chosen", "rejected")),
  read: (row) => {
    const [chosen, rejected] = [answerTurns(row, "chosen"), answerTurns(row, "rejected")];
    const prompt = has(row, "prompt") ? contextTurns(row, row["prompt"], "prompt") : sharedPrompt(chosen, rejected);
    const repeats = [chosen, rejected].every((answer) => sharedTurns(answer, prompt).length === prompt.length);
    const begin = repeats ? prompt.length : 0;
    return preference(
      prompt,
      chosen.slice(begin),
      rejected.slice(begin),
      toolsOf(row),
      without(row, "prompt", "chosen", "rejected", "tools", ...CONTEXT_COLUMNS),
    );
  },
};

/** Without a prompt, a text is a transcript that begins with one. */
function answerTurns(row: DataRow, column: string): Turn[] {
  const value = row[column];
  if (has(row, "prompt") || typeof value !== "string") return toTurns(value, "assistant", column);
  const turns = parseTranscript(value);
  if (turns !== undefined) return turns;
  throw new RefusedRow(`expected a "prompt", or a text that begins with "Human:" in "${column}", got ${shown(value)}`);
}

/** What both begin with, up to the last question: answers may begin alike, or be the same. */
function sharedPrompt(a: readonly Turn[], b: readonly Turn[]): Turn[] {
  const shared = sharedTurns(a, b);
  return shared.slice(0, shared.findLastIndex(({ role }) => ASKERS.includes(role)) + 1);
}

function sharedTurns(a: readonly Turn[], b: readonly Turn[]): Turn[] {
  const differs = a.findIndex(({ role, content }, at) => role !== b[at]?.role || content !== b[at]?.content);
  return a.slice(0, differs === -1 ? a.length : differs);
}

function preference(
  turns: readonly Turn[],
  chosen: readonly Turn[],
  rejected: readonly Turn[],
  tools: string | null,
  extra: PreferenceExample["extra"],
): PreferenceExample {
  const asker = turns.at(-1)?.role;
  if (asker === undefined || !ASKERS.includes(asker))
    throw new RefusedRow(`expected a prompt that ends with the user or a tool, got ${asker ?? "none"}`);
  for (const [answer] of [chosen, rejected])
    if (answer !== undefined && !["assistant", "tool_call"].includes(answer.role))
      throw new RefusedRow(`expected answers of the assistant, got ${answer.role}`);
  return { kind: "preference", turns, chosen, rejected, tools, extra };
}
