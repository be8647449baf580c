import type { Turn } from "../formats/example.js";
import { RefusedRow } from "../formats/refused-row.js";
import { KINDS, sharegptTurns, type Target } from "./target.js";

/** MedicalGPT's data for reward models and DPO. */
export const preference: Target = {
  kind: "preference",
  columns: ["conversations", "chosen", "rejected", "tools"],
  write: (example) => {
    if (example.kind !== "preference")
      throw new RefusedRow(`preference needs two answers to a prompt, got ${KINDS[example.kind]}`);
    const { turns, chosen, rejected, tools } = example;
    return {
      conversations: sharegptTurns(turns),
      chosen: onlyAnswer(chosen, "chosen"),
      rejected: onlyAnswer(rejected, "rejected"),
      ...(tools !== null && { tools }),
    };
  },
};

function onlyAnswer([turn, ...more]: readonly Turn[], column: string): string {
  if (turn?.role === "assistant" && more.length === 0) return turn.content;
  const got = [turn, ...more].map((each) => each?.role).join(", ");
  throw new RefusedRow(`preference needs one text as the ${column} answer, got ${got}`);
}
