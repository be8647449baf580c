import type { RunContext } from "@medgpt/core/run";

import { listCards } from "../cards/card.js";

/** Says which data sets there are. */
export async function runList({ log }: RunContext): Promise<void> {
  const cards = await listCards();
  const lines = cards.flatMap(({ name, about, licence, terms, homepage, subsets }) => [
    `${name}: ${about}`,
    `  licence ${licence}${terms === undefined ? "" : ` (${terms})`}; ${homepage}`,
    ...Object.entries(subsets).map(
      ([subset, { about, format, splits }]) => `  ${subset}: ${about} (${format}; ${Object.keys(splits).join(", ")})`,
    ),
  ]);
  log({ type: "answer", lines, value: { datasets: cards } });
}
