import { rangeOf } from "./lint-row.js";
import type { LintRow, Problem } from "./rule.js";

/** A problem with its place in the file, as it is reported. */
export interface Finding {
  readonly rule: string;
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in characters (code points). */
  readonly column: number;
  readonly message: string;
  readonly advice: string;
  readonly fixable: boolean;
  /** The text around the place on one line, and the part of it that is pointed at, in UTF-16 units. */
  readonly snippet: string;
  readonly mark: { readonly start: number; readonly length: number };
}

/** Characters shown before and after the place. */
const CONTEXT = 30;

export function findingOf(rule: string, row: LintRow, problem: Problem): Finding {
  const range = rangeOf(row, problem);
  const { start } = range;
  // Of a whole row, list or object its beginning is shown.
  const end = /[[{]/.test(row.raw[start] ?? "") && problem.at === undefined && !row.plain ? start + 1 : range.end;
  const before = row.raw.slice(0, start);
  const newline = before.lastIndexOf("\n");
  const lineEnd = row.raw.indexOf("\n", start);
  const line = row.raw.slice(newline + 1, lineEnd === -1 ? undefined : lineEnd);
  const at = start - newline - 1;
  const from = cutAt(line, at - CONTEXT);
  const to = cutAt(line, Math.max(at + CONTEXT, Math.min(end - newline - 1, at + 2 * CONTEXT)));
  const lead = (from > 0 ? "…" : "") + visible(line.slice(from, at));
  const marked = visible(line.slice(at, Math.min(to, end - newline - 1)));
  return {
    rule,
    file: row.file,
    line: row.line + (newline === -1 ? 0 : before.split("\n").length - 1),
    column: [...before.slice(newline + 1)].length + (newline === -1 ? row.column : 1),
    message: problem.message,
    advice: problem.advice,
    fixable: problem.repair !== undefined,
    snippet:
      lead +
      marked +
      visible(line.slice(at + (Math.min(to, end - newline - 1) - at), to)) +
      (to < line.length ? "…" : ""),
    mark: { start: lead.length, length: marked.length },
  };
}

/** An offset within the text that is not between the halves of a pair. */
function cutAt(text: string, at: number): number {
  const within = Math.min(Math.max(0, at), text.length);
  const code = text.charCodeAt(within);
  return code >= 0xdc00 && code < 0xe000 ? within - 1 : within;
}

/** The text without characters that a terminal would act on or not show. */
function visible(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\u2028\u2029]/gu,
    (char) => `\\u${char.codePointAt(0)!.toString(16).padStart(4, "0")}`,
  );
}

const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/gu;

/** Columns of a terminal. */
const widthOf = (text: string): number => [...text].length + (text.match(WIDE)?.length ?? 0);

/** The finding as lines: place, rule and message, then the snippet with a caret, then what to do. */
export function findingLines({ file, line, column, rule, message, advice, fixable, snippet, mark }: Finding): string[] {
  const indent = " ".repeat(widthOf(snippet.slice(0, mark.start)));
  const carets = "^".repeat(Math.max(1, widthOf(snippet.slice(mark.start, mark.start + mark.length))));
  return [
    `${file}:${line}:${column}  ${rule}  ${message}`,
    `    ${snippet}`,
    `    ${indent}${carets} ${advice}${fixable ? " (--fix does)" : ""}`,
  ];
}
