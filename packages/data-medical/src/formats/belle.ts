import type { DataRow } from "@medgpt/core/data";

import type { Turn } from "./example.js";
import { all, has, textIn, without, type Format } from "./format.js";

const SPEAKER = /(?:^|\n)[^\S\n]*(Human|Assistant)[^\S\n]*[:：]/;

/** Whether a text is the conversation so far, as "Human: …\nAssistant: …\nHuman: …\nAssistant:". */
export function isTranscript(text: unknown): boolean {
  return typeof text === "string" && /^\s*Human\s*[:：]/.test(text) && /Assistant\s*[:：]\s*$/.test(text);
}

/**
 * Belle's conversations in one text: of `input` and `target`, or of `instruction` and `output` in the set of multi-turn
 * chats. Belle's other sets are Alpaca's.
 */
export const belle: Format = {
  name: "belle",
  kind: "chat",
  about: "`input`, `target`, or `instruction`, `output`, with `Human: …` and `Assistant: …` in one text",
  matches: (row) =>
    isTranscript(row["instruction"]) ? all(row, "instruction", "output") : all(row, "input", "target"),
  read: (row) => {
    const answer = has(row, "target") ? "target" : "output";
    return {
      kind: "chat",
      turns: [...transcriptTurns(row), { role: "assistant", content: textIn(row, answer) }],
      tools: null,
      extra: without(row, "instruction", "input", answer),
    };
  },
};

function transcriptTurns(row: DataRow): Turn[] {
  const parts = ["instruction", "input"].filter((column) => has(row, column)).map((column) => textIn(row, column));
  const transcript = parts.filter((part) => part.trim() !== "").join("\n");
  return parseTranscript(transcript) ?? [{ role: "user", content: transcript }];
}

/** The turns of a transcript that begins with a speaker, but for an empty last one; undefined for another text. */
export function parseTranscript(transcript: string): Turn[] | undefined {
  const [before, ...said] = transcript.split(SPEAKER);
  if (said.length === 0 || before?.trim() !== "") return undefined;
  const turns = said.flatMap((content, index): Turn[] =>
    index % 2 === 0 ? [] : [{ role: said[index - 1] === "Human" ? "user" : "assistant", content: content.trim() }],
  );
  if (turns.at(-1)?.role === "assistant" && turns.at(-1)?.content === "") turns.pop();
  return turns;
}
