import { RefusedRow } from "../formats/refused-row.js";
import { asChat, type Target } from "./target.js";

/** Stanford Alpaca's columns, with `history` and `system` where there is one, as LLaMA-Factory reads them. */
export const alpaca: Target = {
  kind: "chat",
  columns: ["instruction", "input", "output", "history", "system"],
  write: (example) => {
    const { turns, tools } = asChat(example, "alpaca");
    if (tools !== null) throw new RefusedRow("alpaca cannot hold tools");
    const system = turns[0]?.role === "system" ? turns[0].content : undefined;
    const said = system === undefined ? turns : turns.slice(1);
    const strange = said.find(({ role }, index) => role !== (index % 2 === 0 ? "user" : "assistant"));
    if (strange !== undefined || said.length === 0 || said.length % 2 === 1)
      throw new RefusedRow(
        `alpaca needs questions of the user and answers of the assistant in turn, got ${turns.map(({ role }) => role).join(", ")}`,
      );
    const texts = said.map(({ content }) => content);
    const history = texts.slice(0, -2).flatMap((text, index) => (index % 2 === 0 ? [[text, texts[index + 1]]] : []));
    return {
      instruction: texts.at(-2),
      input: "",
      output: texts.at(-1),
      ...(history.length > 0 && { history }),
      ...(system !== undefined && { system }),
    };
  },
};
