import { minHash, NearDuplicates } from "../../near-duplicates/index.js";
import type { LintRow, Problem, Rule } from "../rule.js";
import { rowPlaces } from "../row-places.js";
import { isHeading } from "./duplicate.js";
import { THRESHOLD } from "./near-duplicate.js";

/** Greetings and "go on" are everywhere. */
const MIN_QUESTION = 6;

export const leakage: Rule = {
  name: "leakage",
  finds: "Training rows whose question, or text, is (nearly) that of a row held out for validation or test.",
  compares: true,
  start: () => {
    const heldOut = new NearDuplicates({ threshold: THRESHOLD });
    const places = rowPlaces();
    return function* (row): Generator<Problem> {
      if (row.split === "held out") return;
      const asked = isHeading(row) ? [] : questionOf(row).filter(({ text }) => text.trim().length >= MIN_QUESTION);
      const signature = minHash(asked.map(({ text }) => text).join("\n"), 0);
      if (signature === undefined) return;
      if (row.split === "reference") {
        heldOut.add(signature);
        places.add(row);
        return;
      }
      const found = heldOut.find(signature);
      if (found === undefined) return;
      const message = `held out in ${places.at(found, row)}`;
      yield { path: asked[0]!.path, message, advice: "remove it here, or there" };
    };
  },
};

/** What is asked first, or the whole of a text that asks nothing. */
function questionOf({ texts, lists }: LintRow): LintRow["texts"] {
  const prompts = texts.filter(({ part }) => part === "prompt");
  if (prompts.length === 0) return texts.filter(({ part }) => part === "text");
  // A conversation is its first question; instruction and input are one question in two.
  return lists.length > 0 || prompts[0]!.path[0] === "data" ? prompts.slice(0, 1) : prompts;
}
