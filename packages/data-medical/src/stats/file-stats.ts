import type { DataRow } from "@medgpt/core/data";
import { LengthHistogram } from "../length-histogram.js";
import type { RowContent } from "../row-content.js";

export interface RoleStats {
  turns: number;
  characters: number;
}

/** Columns of labels, of which every value is counted. */
const LABELS = ["category", "language", "lang", "source"];

/** A column of more values than this labels nothing. */
const MAX_LABELS = 200;

/** What is in a file, or in a part of one. A message between threads carries its fields. */
export class FileStats {
  rows = 0;
  readonly formats = new Map<string, number>();
  /** In a row. */
  readonly turns = new LengthHistogram();
  /** In all texts of a row, in Unicode code points. */
  readonly characters = new LengthHistogram();
  /** In all texts of a row, without the tokens that a chat template adds. */
  readonly tokens = new LengthHistogram();
  readonly roles = new Map<string, RoleStats>();
  /** Characters: Han, other letters, and all that are neither (digits, punctuation, spaces). */
  readonly scripts = { han: 0, letters: 0, others: 0 };
  /** How often each value of a column occurs; null if it has too many values. */
  readonly labels = new Map<string, Map<string, number> | null>();

  add(row: DataRow, { format, said }: RowContent, countTokens?: (text: string) => number): void {
    this.rows++;
    increase(this.formats, format, 1);
    let [characters, tokens] = [0, 0];
    for (const { role, text } of said) {
      const length = this.#countCharacters(text);
      characters += length;
      if (countTokens !== undefined) tokens += countTokens(text);
      const stats = this.roles.get(role) ?? { turns: 0, characters: 0 };
      stats.turns++;
      stats.characters += length;
      this.roles.set(role, stats);
    }
    this.turns.add(said.length);
    this.characters.add(characters);
    if (countTokens !== undefined) this.tokens.add(tokens);
    for (const column of LABELS) {
      const value = row[column];
      if (typeof value === "string") this.#countLabel(column, value, 1);
    }
  }

  merge(other: FileStats): void {
    this.rows += other.rows;
    for (const [format, count] of other.formats) increase(this.formats, format, count);
    for (const key of ["turns", "characters", "tokens"] as const) this[key].merge(other[key]);
    for (const [role, { turns, characters }] of other.roles) {
      const stats = this.roles.get(role) ?? { turns: 0, characters: 0 };
      this.roles.set(role, { turns: stats.turns + turns, characters: stats.characters + characters });
    }
    for (const key of ["han", "letters", "others"] as const) this.scripts[key] += other.scripts[key];
    for (const [column, counts] of other.labels) {
      if (counts === null) this.labels.set(column, null);
      else for (const [value, count] of counts) this.#countLabel(column, value, count);
    }
  }

  #countLabel(column: string, value: string, count: number): void {
    const counts = this.labels.get(column);
    if (counts === null) return;
    if (counts === undefined) this.labels.set(column, new Map([[value, count]]));
    else {
      increase(counts, value, count);
      if (counts.size > MAX_LABELS) this.labels.set(column, null);
    }
  }

  #countCharacters(text: string): number {
    let [han, letters, halves] = [0, 0, 0];
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at);
      if (unit < 0x80) {
        const lower = unit | 0x20;
        if (lower >= 0x61 && lower <= 0x7a) letters++;
      } else if (unit >= 0x4e00 && unit <= 0x9fff) han++;
      else if (unit >= 0xd800 && unit <= 0xdfff) {
        // Two halves are one character: planes 2 and 3 are Han's alone. A half without its other counts too.
        const code = text.codePointAt(at)!;
        if (code >= 0x20000 && code < 0x40000) han++;
        if (code > 0xffff) [at, halves] = [at + 1, halves + 1];
      } else if (unit >= 0x3400 && unit <= 0x4dbf) han++;
      else if (unit < 0x2000 && unit >= 0xc0) letters++;
    }
    const length = text.length - halves;
    this.scripts.han += han;
    this.scripts.letters += letters;
    this.scripts.others += length - han - letters;
    return length;
  }
}

function increase(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
