/** What a row of any format says, in one form: the formats are read into it, and the targets are written from it. */

import type { Role } from "@medgpt/core/chat";

export type { Role };

export interface Turn {
  readonly role: Role;
  /** In a tool_call: a JSON object with "name" and "arguments", or a list of them, as ShareGPT data has it. */
  readonly content: string;
}

interface Common {
  /** The columns that belong to no part of the format. */
  readonly extra: Readonly<Record<string, unknown>>;
}

interface Conversation extends Common {
  /** Of a preference and a prompt, what is to be answered. */
  readonly turns: readonly Turn[];
  /** The tools that may be called, as JSON text; null where there are none. */
  readonly tools: string | null;
}

export interface TextExample extends Common {
  readonly kind: "text";
  readonly text: string;
}

export interface ChatExample extends Conversation {
  readonly kind: "chat";
}

export interface PreferenceExample extends Conversation {
  readonly kind: "preference";
  readonly chosen: readonly Turn[];
  readonly rejected: readonly Turn[];
}

export interface PromptExample extends Conversation {
  readonly kind: "prompt";
  /** The reference answer, where there is one. */
  readonly answer: string | null;
}

export type Example = TextExample | ChatExample | PreferenceExample | PromptExample;
