import { halfPairs } from "@medgpt/core/json";
import type { LintRow, Problem, Rule } from "../rule.js";
import { stringsOf } from "../strings-of.js";

export const encoding: Rule = {
  name: "encoding",
  finds:
    "Bytes that are not UTF-8, halves of characters (`\\ud83d`), a byte order mark, Windows line ends, control, zero-width and direction characters.",
  fixes: "removes them; Windows line ends become plain ones",
  start: () => checkEncoding,
};

/**
 * Control characters but tab and line feed; zero-width spaces, word joiners, byte order marks; soft hyphens, unless they
 * are a part of text in a wrong encoding; directions.
 * Joiners are left where they join: in emoji, Arabic and Indic scripts.
 */
const INVISIBLE =
  // eslint-disable-next-line no-control-regex -- these are the characters to be found
  /\r\n?|[\0-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b\u2060-\u2064\ufeff]+|(?<![\u0080-\u00ff])\u00ad|(?<![\p{M}\p{L}\p{Extended_Pictographic}\p{Emoji_Modifier}])[\u200c\u200d]+|(?<=[\p{Script=Han}\p{Script=Latin}])[\u200c\u200d]+|[\u200e\u200f\u202a-\u202e\u2066-\u2069]+/gu;

/** Every character that INVISIBLE may find. */
// eslint-disable-next-line no-control-regex -- as above
const SUSPECT = /[\0-\u0008\u000b-\u001f\u007f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/;

const DIRECTIONS = /^[\u200e\u200f\u202a-\u202e\u2066-\u2069]+$/;
const RIGHT_TO_LEFT = /[\p{Script=Arabic}\p{Script=Hebrew}\p{Script=Syriac}\p{Script=Thaana}]/u;

function* checkEncoding({ raw, plain, value, badByte, line }: LintRow): Generator<Problem> {
  if (badByte !== undefined) {
    yield {
      at: badByte,
      end: badByte + 1,
      message: "bytes that are not UTF-8",
      advice: "save the file as UTF-8 or remove the row",
    };
    return;
  }
  if (!plain && line === 1 && raw.startsWith("\uFEFF")) yield invisible("\uFEFF", 0, "");
  if (!plain && value !== undefined) {
    for (const at of halfPairs(raw)) {
      const message = `half of a character (${raw.slice(at, at + 6)}), as text has that was cut within an emoji`;
      yield { at, end: at + 6, message, advice: "remove it", repair: { replace: "" } };
    }
  }
  for (const { path, text } of stringsOf(value)) {
    if (!SUSPECT.test(text)) continue; // nearly all, and quickly said
    for (const { 0: found, index } of text.matchAll(INVISIBLE)) {
      if (DIRECTIONS.test(found) && RIGHT_TO_LEFT.test(text)) continue;
      yield {
        path,
        ...invisible(
          found,
          index,
          found.startsWith("\r") && !(plain && index + found.length === text.length) ? "\n" : "",
        ),
      };
    }
  }
  if (!plain && raw.endsWith("\r")) yield invisible("\r", raw.length - 1, "");
}

function invisible(found: string, at: number, replace: string): Problem {
  const codes = [...found].map((char) => `U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`);
  const message = found.startsWith("\r")
    ? "a Windows line end (U+000D)"
    : found === "\uFEFF"
      ? "a byte order mark (U+FEFF)"
      : `${codes.length === 1 ? "an invisible character" : "invisible characters"} (${codes.join(" ")})`;
  const advice = replace === "" ? "remove it" : "make it a plain line end";
  return { at, end: at + found.length, message, advice, repair: { replace } };
}
