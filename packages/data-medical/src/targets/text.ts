import { RefusedRow } from "../formats/refused-row.js";
import { KINDS, type Target } from "./target.js";

/** The format that `medgpt pretrain` reads. The turns of a chat are joined by line breaks, without their roles. */
export const text: Target = {
  kind: "text",
  columns: ["text"],
  write: (example) => {
    if (example.kind === "text") return { text: example.text };
    if (example.kind !== "chat") throw new RefusedRow(`text cannot hold ${KINDS[example.kind]}`);
    const { turns, tools } = example;
    if (tools !== null || turns.some(({ role }) => role === "tool" || role === "tool_call"))
      throw new RefusedRow("text cannot hold tools and their calls");
    return { text: turns.map(({ content }) => content).join("\n") };
  },
};
