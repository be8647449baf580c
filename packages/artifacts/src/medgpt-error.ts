const MARK = Symbol.for("medgpt.error");

/**
 * Base of every error that @medgpt throws on purpose. `isInstance` works across duplicate installs of this package.
 * A subclass carries its values as readonly fields, so that a caller can branch on them.
 */
export class MedgptError extends Error {
  readonly [MARK] = true;
  /** Whether the cause is what the user gave (a flag, a file, a folder), so that a command exits with 2 and not with 1. */
  readonly userError: boolean;

  constructor(message: string, options: { userError?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.userError = options.userError ?? false;
  }

  static isInstance(value: unknown): value is MedgptError {
    return typeof value === "object" && value !== null && MARK in value;
  }
}

/** Line breaks, terminal escapes and the like, which names and parsers' messages may carry. */
const CONTROL = /[\p{Cc}\u2028\u2029]/gu;

/** Longer than any message of ours without what it quotes; a quoted key or value may have megabytes. */
const MAX_MESSAGE = 1_000;

/** A path has 4,096 bytes at most; a misspelt flag may have more. */
const MAX_PLACE = 4_200;

/**
 * Something the user gave is not usable. The message is one line: what was expected, what came (with file, line, key or
 * shape where there is one) and what to do next. What it quotes from files cannot break the line nor fill the screen.
 */
export class InputError extends MedgptError {
  /** file, or file:line:column, or the flag. */
  readonly place: string | undefined;

  constructor(message: string, options: { place?: string; cause?: unknown } = {}) {
    super(oneLine(message, options.place), { ...options, userError: true });
    this.place = options.place;
  }
}

/** A message about a place as one line that what it quotes can neither break nor make very long; for warnings too. */
export function oneLine(message: string, place?: string): string {
  const short = shorten(message, MAX_MESSAGE);
  const line = place === undefined ? short : `${shorten(place, MAX_PLACE)}: ${short}`;
  return line.replace(CONTROL, escape);
}

function escape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

function shorten(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}
