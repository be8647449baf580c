import { isJsonObject } from "@medgpt/core/json";
import { InputError } from "@medgpt/artifacts";
import { messagesOf, readConversation, type Conversation } from "@medgpt/core/chat";
import type { ChatTemplate } from "@medgpt/core/tokenizer";
import { detectFormat } from "../../formats/detect-format.js";
import type { Example, Turn } from "../../formats/example.js";
import { RefusedRow } from "../../formats/refused-row.js";
import { sharegptTurns } from "../../targets/target.js";
import type { LintRow, Problem, Rule } from "../rule.js";

export const template: Rule = {
  name: "template",
  finds: "Conversations that the chat template of --tokenizer_name_or_path refuses.",
  start: ({ template }) => (template === undefined ? () => [] : (row) => checkConversation(row, template)),
};

function* checkConversation({ value, texts, lists }: LintRow, template: ChatTemplate): Generator<Problem> {
  const conversation = conversationOf(value);
  if (conversation === undefined || conversation.turns.length === 0) return;
  try {
    template.render(messagesOf(conversation));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const refusal = error.message.slice((error.place?.length ?? -2) + 2);
    const cut = refusal.lastIndexOf("; ");
    const path = texts.find(({ part }) => part === "system")?.path ?? lists[0]?.path ?? [];
    yield { path, message: refusal.slice(0, cut), advice: refusal.slice(cut + 2) };
  }
}

/** A row of any format as fine-tuning would read it; undefined if it is not a conversation, which other rules report. */
function conversationOf(value: unknown): Conversation | undefined {
  if (!isJsonObject(value)) return undefined;
  try {
    const turns = turnsOf(detectFormat(value).format.read(value));
    return readConversation({ conversations: sharegptTurns(turns) }, { place: "", toolFormat: null });
  } catch (error) {
    if (error instanceof RefusedRow || error instanceof InputError) return undefined;
    throw error;
  }
}

/** The turns up to an answer, which a prompt has not. */
function turnsOf(example: Example): readonly Turn[] {
  if (example.kind === "text") return [];
  if (example.kind === "preference") return [...example.turns, ...example.chosen];
  return example.kind === "chat" ? example.turns : [...example.turns, { role: "assistant", content: "." }];
}
