import { all, conversationTurns, toolsOf, without, type Format } from "./format.js";

/** The format of OpenAI and TRL. */
export const messages: Format = {
  name: "messages",
  kind: "chat",
  about: "`messages` of `role` and `content`, `tool_calls` among them; optional `tools`",
  matches: (row) => all(row, "messages"),
  read: (row) => ({
    kind: "chat",
    turns: conversationTurns(row, "messages"),
    tools: toolsOf(row),
    extra: without(row, "messages", "system", "system_prompt", "tools"),
  }),
};
