/**
 * Changing JSON files of Python programs without changing what is left alone: JavaScript would write 30.0 as 30, which
 * is another type there (transformers checks types of config.json strictly), and would round long integers.
 */

const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
/** Begins the string that stands for a number while it is in JavaScript's hands. */
const MARK = "\u0001number:";
const MARKED = new RegExp(`"${JSON.stringify(MARK).slice(1, -1).replace("\\", "\\\\")}([^"]*)"`, "g");

/**
 * A JSON object's text with some of its keys set (or removed, for undefined), indented by two spaces. Every number that is
 * not set is spelled as it was.
 */
export function editJson(text: string, changes: Readonly<Record<string, unknown>>): string {
  const marked = text
    .replace(/^\uFEFF/, "")
    .replace(STRING_OR_NUMBER, (token) =>
      token.startsWith('"') || String(Number(token)) === token ? token : JSON.stringify(MARK + token),
    );
  const value = { ...(JSON.parse(marked) as Record<string, unknown>), ...changes };
  return JSON.stringify(value, undefined, 2).replace(MARKED, "$1") + "\n";
}
