import { nestsTooDeeply } from "@medgpt/artifacts";
import { isJsonObject, scanJson } from "@medgpt/core/json";
import type { LintRow, Problem, Rule } from "../rule.js";

export const json: Rule = {
  name: "json",
  finds:
    "Rows that are not a JSON object (of tables: have other cells than columns), keys that come twice in one, and plain text that is JSON.",
  fixes: "removes commas before a closing bracket or at the end of the line, and escapes control characters in strings",
  start: () => checkJson,
};

const CORRECT = "correct the row or write it again";

function* checkJson({ raw, plain, value, badByte, fault }: LintRow): Generator<Problem> {
  if (plain || badByte !== undefined) return;
  if (fault !== undefined) {
    yield { at: 0, end: 1, message: fault, advice: CORRECT };
    return;
  }
  if (nestsTooDeeply(raw)) {
    yield { at: 0, end: 1, message: "JSON that is nested too deeply", advice: CORRECT };
    return;
  }
  const text = raw.replace(/^\uFEFF/, " ");
  const { errorAt: at, duplicateKey } = scanJson(text);
  if (at !== undefined) {
    yield broken(text, at);
  } else if (!isJsonObject(value)) {
    const got = Array.isArray(value) ? "a list" : value === null ? "null" : `a ${typeof value}`;
    yield { path: [], message: `${got} where an object is expected`, advice: CORRECT };
  } else if (duplicateKey !== undefined) {
    const message = `the key ${JSON.stringify(duplicateKey)} comes twice in one object; only the last counts`;
    yield { ...secondKey(text, duplicateKey), message, advice: "keep one of the two" };
  }
}

function broken(text: string, at: number): Problem {
  const char = text[at];
  if (char === undefined) return { at, end: at, message: "the row ends before its JSON does", advice: CORRECT };
  if (char < " " && char !== "\r") {
    const escape = JSON.stringify(char).slice(1, -1);
    const message = `a control character in a string, which JSON writes ${escape}`;
    return { at, end: at + 1, message, advice: "escape it", repair: { replace: escape } };
  }
  // A comma after the last item; the scan stops at the bracket behind it, or at the comma if that ends the line.
  const comma = char === "," ? at : text.slice(0, at).trimEnd().length - 1;
  const closes = char === "}" || char === "]" || (char === "," && text.slice(at + 1).trim() === "");
  if (closes && text[comma] === ",") {
    const message = "a comma with nothing after it";
    return { at: comma, end: comma + 1, message, advice: "remove it", repair: { replace: "" } };
  }
  return { at, end: at + 1, message: "no JSON from here on", advice: CORRECT };
}

/** Where a key is for the second time in the first object that repeats it. */
function secondKey(text: string, key: string): { at: number; end: number } {
  const objects: (Set<string> | undefined)[] = [];
  let isKey = false;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    if (token === "{") objects.push(new Set());
    else if (token === "[") objects.push(undefined);
    else if (token === "}" || token === "]") objects.pop();
    else if (token.startsWith('"') && isKey) {
      const name = JSON.parse(token) as string;
      if (name === key && objects.at(-1)!.has(key)) return { at: index, end: index + token.length };
      objects.at(-1)!.add(name);
    }
    isKey = (token === "{" || token === ",") && objects.at(-1) !== undefined;
  }
  return { at: 0, end: text.length };
}
