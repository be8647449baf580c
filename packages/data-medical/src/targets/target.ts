import type { DatasetFormat } from "@medgpt/artifacts";
import type { DataRow } from "@medgpt/core/data";

import type { ChatExample, Example, Turn } from "../formats/example.js";
import { RefusedRow } from "../formats/refused-row.js";

/** A format that rows are written in. */
export interface Target {
  readonly kind: DatasetFormat;
  /** Its columns; an extra column of the same name cannot be kept. */
  readonly columns: readonly string[];
  /**
   * The columns of a row, without the extra ones.
   * @throws RefusedRow for a row that the format cannot express
   */
  write(example: Example): DataRow;
}

/** An example as a chat, which a prompt with its answer is too. */
export function asChat(example: Example, target: string): Omit<ChatExample, "kind" | "extra"> {
  if (example.kind === "chat") return example;
  if (example.kind !== "prompt") throw new RefusedRow(`${target} cannot hold ${KINDS[example.kind]}`);
  if (example.answer === null) throw new RefusedRow(`${target} needs an answer, and the prompt has none`);
  return { tools: example.tools, turns: [...example.turns, { role: "assistant", content: example.answer }] };
}

/** What an example is, in a message. */
export const KINDS: Readonly<Record<DatasetFormat, string>> = {
  text: "plain text, which has no turns",
  chat: "a chat",
  preference: "two answers to a prompt",
  prompt: "a prompt without its answer",
};

const SHAREGPT_ROLES = {
  system: "system",
  user: "human",
  assistant: "gpt",
  tool_call: "function_call",
  tool: "observation",
} as const;

/** Turns as ShareGPT has them, under the names that MedicalGPT reads. */
export function sharegptTurns(turns: readonly Turn[]): object[] {
  return turns.map(({ role, content }) => ({ from: SHAREGPT_ROLES[role], value: content }));
}
