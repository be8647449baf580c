export interface WeightedSource {
  readonly weight: number;
  readonly rows: number;
}

/**
 * How many rows each source gives: its share of the whole, rounded by largest remainders, so that none is a row or more
 * away from its exact share.
 * @param wanted how many rows in all; null for as many as there are without taking one twice
 * @param exhausted whether the whole shrinks where a source has too few ("stop") or its rows are taken again ("repeat")
 */
export function shareOut(
  sources: readonly WeightedSource[],
  wanted: number | null,
  exhausted: "stop" | "repeat",
): number[] {
  const weights = sources.reduce((sum, { weight }) => sum + weight, 0);
  const most = Math.floor(Math.min(...sources.map(({ weight, rows }) => (rows * weights) / weight)) + 1e-9);
  let total = exhausted === "repeat" ? (wanted ?? most) : Math.min(wanted ?? most, most);
  for (; ; total--) {
    const exact = sources.map(({ weight }) => (total * weight) / weights);
    const counts = exact.map((share) => Math.floor(share + 1e-9));
    const missing = total - counts.reduce((sum, count) => sum + count, 0);
    const byRemainder = exact
      .map((share, i) => [share - counts[i]!, i] as const)
      .sort(([a, i], [b, j]) => b - a || i - j);
    for (const [, i] of byRemainder.slice(0, missing)) counts[i]!++;
    // Rounding up may ask for a row more than there is.
    if (exhausted === "repeat" || counts.every((count, i) => count <= sources[i]!.rows)) return counts;
  }
}
