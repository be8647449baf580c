import { isJsonObject } from "@medgpt/core/json";
import { ExactDuplicates, fingerprint } from "../../near-duplicates/index.js";
import type { LintRow, Problem, Rule } from "../rule.js";
import { rowPlaces } from "../row-places.js";

export const duplicate: Rule = {
  name: "duplicate",
  finds: "Rows that say exactly what an earlier one says.",
  fixes: "removes all but the first",
  compares: true,
  start: () => {
    const seen = new ExactDuplicates();
    const places = rowPlaces();
    return function* (row): Generator<Problem> {
      if (isHeading(row) || row.value === undefined) return;
      const earlier = seen.add(fingerprint(canonical(row.value)));
      if (earlier === undefined) places.add(row);
      else {
        const message = `the same as ${places.at(earlier, row)}`;
        yield { path: [], message, advice: "remove it", repair: "remove row" };
      }
    };
  },
};

/** Headings come back in books. */
export function isHeading({ plain, raw }: LintRow): boolean {
  return plain && raw.trim().length < 20;
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    isJsonObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}
