import { isTranscript } from "./belle.js";
import { all, CONTEXT_COLUMNS, contextTurns, has, textIn, without, type Format } from "./format.js";

/** Stanford Alpaca's columns, which Belle's and most Chinese instruction data share. */
export const alpaca: Format = {
  name: "alpaca",
  kind: "chat",
  about: "`instruction`, `output`; optional `input`, `history`, `system`",
  matches: (row) => (isTranscript(row["instruction"]) ? undefined : all(row, "instruction", "output")),
  read: (row) => {
    const instruction = textIn(row, "instruction");
    const input = has(row, "input") ? textIn(row, "input") : "";
    const question = [instruction, input].filter((part) => part.trim() !== "").join("\n");
    return {
      kind: "chat",
      turns: [...contextTurns(row, question, "instruction"), { role: "assistant", content: textIn(row, "output") }],
      tools: null,
      extra: without(row, "instruction", "input", "output", ...CONTEXT_COLUMNS),
    };
  },
};
