/** The longest piece that is looked for. */
const LONGEST = 64;
/** So often in a row, and over so many tokens, no answer says the same on purpose. */
const TIMES = 6;
const TOKENS = 60;

/** Whether the newest tokens are one short piece many times over, as small models go on without end. */
export function repeatsItself(tokens: readonly number[]): boolean {
  for (let size = 1; size <= LONGEST; size++) {
    const length = Math.max(TOKENS, TIMES * size);
    if (length > tokens.length) return false;
    let same = size;
    while (same < length && tokens[tokens.length - 1 - same] === tokens[tokens.length - 1 - same + size]) same++;
    if (same === length) return true;
  }
  return false;
}
