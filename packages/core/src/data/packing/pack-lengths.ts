/**
 * Puts rows into packs of at most `capacity` tokens: the longest first, each into the fullest pack that has room for it
 * (best fit decreasing, as trl packs).
 * @param lengths of the rows, none above the capacity
 * @returns the rows of each pack
 */
export function packLengths(lengths: readonly number[], capacity: number): number[][] {
  const packs: number[][] = [];
  const withRoom = Array.from({ length: capacity + 1 }, (): number[][] => []); // packs by the room they have
  const longestFirst = lengths.map((_, row) => row).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  for (const row of longestFirst) {
    const length = lengths[row]!;
    if (length > capacity) throw new RangeError(`a row of ${length} tokens does not fit into ${capacity}`);
    let room = length;
    while (room < capacity && withRoom[room]!.length === 0) room++;
    const pack = withRoom[room]!.pop() ?? [];
    if (pack.length === 0) packs.push(pack);
    pack.push(row);
    withRoom[room - length]!.push(pack);
  }
  return packs;
}
