import type { LintRow } from "./rule.js";

/** Remembers where rows stand, by number, in 8 bytes each. */
export function rowPlaces(): { add(row: LintRow): void; at(number: number, seenFrom: LintRow): string } {
  const files: string[] = [];
  let places = new Uint32Array(1 << 12); // file and line
  let size = 0;
  return {
    add({ file, line }) {
      if (files.at(-1) !== file) files.push(file);
      if (size === places.length) {
        const larger = new Uint32Array(places.length * 2);
        larger.set(places);
        places = larger;
      }
      places[size++] = files.length - 1;
      places[size++] = line;
    },
    at(number, { file }) {
      const [name, line] = [files[places[number * 2]!]!, places[number * 2 + 1]!];
      return name === file ? `line ${line}` : `${name}:${line}`;
    },
  };
}
