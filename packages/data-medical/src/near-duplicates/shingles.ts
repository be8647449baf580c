/**
 * The parts of a text that are compared: runs of its characters, without the differences of copies (case, width, spaces,
 * punctuation).
 * Chinese says in three characters what takes six letters, so a shingle is three of the one, six of the other, or a mixture.
 */

const SHINGLE_WEIGHT = 6;

/** What a UTF-16 unit becomes: 0 where it is left out. Halves of surrogate pairs stay as they are. */
let table: Uint16Array | undefined;

function makeTable(): Uint16Array {
  const made = new Uint16Array(65536);
  for (let unit = 0; unit < 65536; unit++) {
    const char = String.fromCharCode(unit).normalize("NFKC").toLowerCase();
    if (!/^[\s\p{P}\p{Cc}\p{Cf}]+$/u.test(char)) made[unit] = char.length === 1 ? char.charCodeAt(0) : unit;
  }
  return made;
}

/** Chinese, Japanese and Korean, and halves of surrogate pairs: a rarer character of two halves weighs four. */
const weightOf = (unit: number): number => (unit >= 0x2e80 && unit < 0xe000 ? 2 : 1);

/** A text without the differences of copies. */
export function foldText(text: string): string {
  let folded = "";
  for (const unit of foldUnits(text)) folded += String.fromCharCode(unit);
  return folded;
}

function foldUnits(text: string): Uint16Array {
  const fold = (table ??= makeTable());
  const units = new Uint16Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = fold[text.charCodeAt(i)]!;
    if (unit !== 0) units[length++] = unit;
  }
  return units.subarray(0, length);
}

/**
 * Calls `visit` with a hash of every shingle of a text, repeated ones included; of a text that is shorter than one shingle,
 * once with the hash of the whole. A text without a letter or digit has none.
 */
export function eachShingle(text: string, seed: number, visit: (hash: number) => void): void {
  const units = foldUnits(text);
  const { length } = units;
  for (let start = 0; start < length; start++) {
    let hash = seed;
    let end = start;
    let weight = 0;
    for (; weight < SHINGLE_WEIGHT && end < length; end++) {
      weight += weightOf(units[end]!);
      hash = Math.imul(hash ^ units[end]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    if (weight >= SHINGLE_WEIGHT || start === 0) visit(hash);
    if (end === length) return; // what begins later is a part of this one
  }
}
