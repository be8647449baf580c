import { RefusedRow } from "../formats/refused-row.js";
import { openaiMessages, toolList } from "./messages.js";
import { KINDS, type Target } from "./target.js";

/** TRL's prompts, as lists of messages; a chat's last answer is kept as the reference `answer`. */
export const prompt: Target = {
  kind: "prompt",
  columns: ["prompt", "answer", "tools"],
  write: (example) => {
    if (example.kind !== "prompt" && example.kind !== "chat")
      throw new RefusedRow(`prompt cannot hold ${KINDS[example.kind]}`);
    const last = example.turns.at(-1);
    const answered = example.kind === "chat" && last?.role === "assistant";
    const turns = answered ? example.turns.slice(0, -1) : example.turns;
    const asker = turns.at(-1)?.role;
    if (asker !== "user" && asker !== "tool")
      throw new RefusedRow(`prompt needs a last turn of the user or a tool before the answer, got ${asker ?? "none"}`);
    const answer = example.kind === "prompt" ? example.answer : answered ? last.content : null;
    return { prompt: openaiMessages(turns), ...(answer !== null && { answer }), ...toolList(example.tools) };
  },
};
