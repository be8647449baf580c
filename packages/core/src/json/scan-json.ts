/**
 * What `JSON.parse` does not tell: where a text stops being JSON, and whether an object repeats a key. Used beside
 * `JSON.parse`, never instead of it. Iterative, since the nesting depth of a file is not ours to choose.
 */
export interface JsonScan {
  /** Offset (UTF-16 units) of the first character that no JSON text could have there; the length if the text just ends. */
  readonly errorAt: number | undefined;
  /** The first key that occurs twice in one object. */
  readonly duplicateKey: string | undefined;
}

const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

export function scanJson(text: string): JsonScan {
  const open: (Set<string> | "array")[] = []; // an object is its keys so far
  let duplicateKey: string | undefined;
  let expect: "value" | "value or end" | "key" | "key or end" | "comma or end" = "value";
  let at = 0;

  const match = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    if (!pattern.test(text)) return false;
    at = pattern.lastIndex;
    return true;
  };
  /** Moves past the string that starts at `at`; false leaves `at` on what is wrong. */
  const skipString = (): boolean => {
    for (at++; at < text.length;) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        at++;
        return true;
      }
      if (code < 0x20 || (code === 0x5c && !match(ESCAPE))) return false;
      if (code !== 0x5c) at++;
    }
    return false;
  };
  const skipSpace = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at++;
  };

  for (;;) {
    skipSpace();
    const char = text[at];
    const inside = open.at(-1);
    if (expect === "comma or end" && inside === undefined) {
      return { errorAt: char === undefined ? undefined : at, duplicateKey };
    }
    const failed = { errorAt: at, duplicateKey };
    if (char === undefined) return failed;

    if (expect !== "value" && expect !== "key" && char === (inside === "array" ? "]" : "}")) {
      open.pop();
      at++;
      expect = "comma or end";
    } else if (expect === "comma or end") {
      if (char !== ",") return failed;
      at++;
      expect = inside === "array" ? "value" : "key";
    } else if (expect === "key" || expect === "key or end") {
      if (char !== '"') return failed;
      const begin = at;
      if (!skipString()) return { errorAt: at, duplicateKey };
      const key = JSON.parse(text.slice(begin, at)) as string;
      const keys = inside as Set<string>;
      if (keys.has(key)) duplicateKey ??= key;
      keys.add(key);
      skipSpace();
      if (text[at] !== ":") return { errorAt: at, duplicateKey };
      at++;
      expect = "value";
    } else if (char === "{" || char === "[") {
      open.push(char === "{" ? new Set() : "array");
      at++;
      expect = char === "{" ? "key or end" : "value or end";
    } else {
      if (char === '"' ? !skipString() : !match(SCALAR)) return { errorAt: at, duplicateKey };
      expect = "comma or end";
    }
  }
}
