/** The input and the results of a rule. A rule is a file in rules/ and a line in rules.ts. */
import type { ChatTemplate, Tokenizer } from "@medgpt/core/tokenizer";
import type { Path } from "./locate.js";
import type { RowView } from "./row-view.js";

/** A row as it stands in its file. */
export interface LintRow extends RowView {
  readonly file: string;
  /** Where `raw` begins, from 1; columns count characters (code points). */
  readonly line: number;
  readonly column: number;
  /** Its text in the file. Bytes that are not UTF-8 are replaced by U+FFFD. */
  readonly raw: string;
  /** Whether `raw` is the text itself (.txt) and not JSON. */
  readonly plain: boolean;
  /** What `raw` says; undefined where it is not JSON. */
  readonly value: unknown;
  /** Offset in `raw` of the first byte that is not UTF-8. */
  readonly badByte: number | undefined;
  /** The reason why it is not a row, if `raw` does not show it. */
  readonly fault?: string;
  /** Keys that the rows of its file need. */
  readonly expected: readonly string[];
  /** Rows of a reference are not checked themselves: the checked rows must not repeat them. */
  readonly split: "reference" | "held out" | "training";
}

/** What --fix does with the place that a problem points at. */
export type Repair = { readonly replace: string } | "remove item" | "remove row";

/** Something that a rule has found. */
export interface Problem {
  /** The value it is in; undefined where offsets are those of `raw`. */
  readonly path?: Path;
  /** Where it begins and ends in that value's text, in UTF-16 units; by default all of the value. */
  readonly at?: number;
  readonly end?: number;
  readonly message: string;
  /** Advice for the user. */
  readonly advice: string;
  /** For a problem that can be repaired without changing the meaning of the row. */
  readonly repair?: Repair;
}

export type Check = (row: LintRow) => Iterable<Problem>;

export interface RuleOptions {
  readonly tokenizer?: Tokenizer | undefined;
  readonly maxLength?: number | undefined;
  /** The tokenizer's own, where it has one. */
  readonly template?: ChatTemplate | undefined;
}

export interface Rule {
  readonly name: string;
  /** What it finds, in one sentence. */
  readonly finds: string;
  /** What --fix repairs of it; undefined where nothing is safe. */
  readonly fixes?: string;
  /** Whether a row is compared with rows before it, so that it is asked once and only about rows that stay. */
  readonly compares?: boolean;
  /** Makes the check of one run. */
  readonly start: (options: RuleOptions) => Check;
}
