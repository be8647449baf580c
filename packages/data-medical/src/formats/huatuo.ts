import type { Turn } from "./example.js";
import { all, without, type Format } from "./format.js";
import { shown } from "./json.js";
import { RefusedRow } from "./refused-row.js";

const SPEAKER = /^\s*(问|答)\s*[:：]\s*/;

/** HuatuoGPT's conversations: texts that begin with "问：" and "答：" in turn. */
export const huatuo: Format = {
  name: "huatuo",
  kind: "chat",
  about: "`data`, a list of `问：…` and `答：…`",
  matches: (row) => (Array.isArray(row["data"]) ? all(row, "data") : undefined),
  read: (row) => {
    const turns = (row["data"] as unknown[]).map((said): Turn => {
      const speaker = typeof said === "string" ? SPEAKER.exec(said) : null;
      if (speaker === null)
        throw new RefusedRow(`expected texts that begin with 问： or 答： in "data", got ${shown(said)}`);
      return { role: speaker[1] === "问" ? "user" : "assistant", content: (said as string).slice(speaker[0].length) };
    });
    if (turns.length === 0) throw new RefusedRow('expected turns in "data", got none');
    return { kind: "chat", turns, tools: null, extra: without(row, "data") };
  },
};
