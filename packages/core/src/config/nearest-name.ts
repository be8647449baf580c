/**
 * The candidate nearest to a misspelt name, or undefined where none is near enough to be meant. Distance is
 * Damerau-Levenshtein's (optimal string alignment): insertions, deletions, substitutions and swaps of neighbours.
 */
export function nearestName(name: string, candidates: Iterable<string>): string | undefined {
  // A quarter of the letters may be wrong: "learningRte" is within reach of "learning_rate", "batch_size" not of "block_size".
  let best = Math.max(1, Math.floor(name.length / 4)) + 1;
  let nearest: string | undefined;
  for (const candidate of candidates) {
    // The distance is at least this; and a name of a megabyte is not to be compared letter by letter.
    if (Math.abs(name.length - candidate.length) >= best) continue;
    const distance = editDistance(name.toLowerCase(), candidate);
    if (distance < best) {
      best = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      let distance = Math.min(substitution, previous[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        distance = Math.min(distance, beforePrevious[j - 2]! + 1);
      }
      row.push(distance);
    }
    beforePrevious = previous;
    previous = row;
  }
  return previous[b.length]!;
}
