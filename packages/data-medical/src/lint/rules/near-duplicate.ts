import { minHash, NearDuplicates } from "../../near-duplicates/index.js";
import type { Problem, Rule } from "../rule.js";
import { rowPlaces } from "../row-places.js";
import { isHeading } from "./duplicate.js";

/** From here on a row teaches nothing that the other does not. */
export const THRESHOLD = 0.8;

export const nearDuplicate: Rule = {
  name: "near-duplicate",
  finds: `Rows whose texts have ${THRESHOLD * 100} % of their short runs of characters in common with an earlier one (MinHash).`,
  compares: true,
  start: () => {
    const seen = new NearDuplicates({ threshold: THRESHOLD });
    const places = rowPlaces();
    return function* (row): Generator<Problem> {
      if (isHeading(row)) return;
      const signature = minHash(row.texts.map(({ text }) => text).join("\n"), 0);
      if (signature === undefined) return;
      const earlier = seen.find(signature);
      if (earlier === undefined) {
        seen.add(signature);
        places.add(row);
      } else {
        yield { path: [], message: `nearly the same as ${places.at(earlier, row)}`, advice: "keep one of the two" };
      }
    };
  },
};
