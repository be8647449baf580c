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

/**
 * Something the user gave is not usable. The message is one line: what was expected, what came (with file, line, key or
 * shape where there is one) and what to do next.
 */
export class InputError extends MedgptError {
  /** file, or file:line:column, or the flag. */
  readonly place: string | undefined;

  constructor(message: string, options: { place?: string; cause?: unknown } = {}) {
    super(options.place === undefined ? message : `${options.place}: ${message}`, { ...options, userError: true });
    this.place = options.place;
  }
}
