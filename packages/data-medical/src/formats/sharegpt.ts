import { all, conversationTurns, toolsOf, without, type Format } from "./format.js";

/** The format of MedicalGPT and LLaMA-Factory for instruction data. */
export const sharegpt: Format = {
  name: "sharegpt",
  kind: "chat",
  about: "`conversations` of `from` and `value`; optional `system` or `system_prompt`, `tools`",
  matches: (row) => all(row, "conversations"),
  read: (row) => ({
    kind: "chat",
    turns: conversationTurns(row, "conversations"),
    tools: toolsOf(row),
    extra: without(row, "conversations", "system", "system_prompt", "tools"),
  }),
};
