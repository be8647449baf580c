import { runInNewContext } from "node:vm";
import { InputError } from "@medgpt/artifacts";

/** Patterns for some thousand names are done within milliseconds, unless one was made to take for ever. */
const LIMIT_MS = 1_000;

/**
 * Checks regular expressions that come from a data file before they are used: some take time that doubles with every
 * letter of a name. Each is tried on every name, as a match of the whole, within a second for all.
 * @param key where they stand, for errors
 * @throws InputError for a malformed pattern, and where the second is not enough
 */
export function checkPatterns(key: string, patterns: readonly string[], names: readonly string[]): void {
  for (const pattern of patterns) {
    try {
      new RegExp(`^(?:${pattern})$`);
    } catch (cause) {
      throw new InputError(`${key}: "${pattern}" is no regular expression (${(cause as Error).message})`, { cause });
    }
  }
  try {
    // The script is ours and fixed; it runs in a context because only such a script can be stopped.
    runInNewContext(
      "for (const pattern of patterns) { const whole = new RegExp(`^(?:${pattern})$`); for (const name of names) whole.test(name); }",
      { patterns, names },
      { timeout: LIMIT_MS },
    );
  } catch (cause) {
    throw new InputError(
      `${key}: "${patterns.join('", "')}" takes more than ${LIMIT_MS / 1000} s to match; write it without nested repetitions`,
      { cause },
    );
  }
}
