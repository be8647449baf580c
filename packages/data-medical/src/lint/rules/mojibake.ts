import type { LintRow, Problem, Rule } from "../rule.js";

export const mojibake: Rule = {
  name: "mojibake",
  finds: "Text that was read in the wrong encoding (`Ã©`, `ä¸­`, `ÖÐ¹ú`, `锟斤拷`, `浣犲ソ`), and U+FFFD.",
  start: () => checkMojibake,
};

/** What the bytes 80 to BF become in Latin-1 and Windows-1252. */
const C = String.raw`[\u0080-\u00bf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]`;

/**
 * Signs that are not text, and the beginnings of the characters that two to four bytes of UTF-8 become. After a capital they
 * belong to a word.
 */
const SIGNS = new RegExp(
  [
    String.raw`\ufffd|锟斤|斤拷锟|烫烫烫|屯屯屯|锘挎`,
    `(?<!\\p{Lu})[ÂÃ]${C}`,
    `â[€\\u0080]${C}`,
    `(?<!\\p{Script=Latin})[à-ï]${C}{2}`,
    `(?<!\\p{Script=Latin})ð${C}{3}`,
    `(?:[ÎÏÐÑ]${C}){2}`,
    // GBK read as Latin-1.
    "[\\u00b0-\\u00f7][\\u00a1-\\u00fe](?:[\\u00a1-\\u00f7][\\u00a1-\\u00fe]){2,}",
    "[\\u0080-\\u009f]",
  ].join("|"),
  "u",
);

function* checkMojibake({ texts, badByte }: LintRow): Generator<Problem> {
  if (badByte !== undefined) return; // its U+FFFD are ours
  for (const { path, text } of texts) {
    const sign = SIGNS.exec(text);
    const inGbk = utf8InGbk(text);
    const at = Math.min(sign?.index ?? Infinity, inGbk ?? Infinity);
    if (at === Infinity) continue;
    const end = at === inGbk ? at + 3 : at + sign![0].length;
    const message = text[at] === "\ufffd" ? "a character that was lost (U+FFFD)" : "text read in the wrong encoding";
    yield { path, at, end, message, advice: "convert the source anew, or remove the row" };
  }
}

/** Two bytes for each character of GBK, by UTF-16 unit; 0 for none. */
let gbk: Uint16Array | undefined;

function gbkTable(): Uint16Array {
  const table = new Uint16Array(65536);
  const decoder = new TextDecoder("gbk");
  for (let lead = 0x81; lead <= 0xfe; lead++) {
    for (let trail = 0x40; trail <= 0xfe; trail++) {
      const text = decoder.decode(Uint8Array.of(lead, trail));
      if (text.length === 1 && text !== "\ufffd") table[text.charCodeAt(0)] = (lead << 8) | trail;
    }
  }
  return table;
}

const isTail = (byte: number): boolean => byte >= 0x80 && byte <= 0xbf;
/** Leads of the three bytes of common Chinese characters and punctuation. */
const isLead = (byte: number): boolean => (byte >= 0xe4 && byte <= 0xe9) || byte === 0xe3 || byte === 0xef;

/** Where three characters stand whose bytes in GBK are two Chinese characters in UTF-8; no text has such by chance. */
function utf8InGbk(text: string): number | undefined {
  const table = (gbk ??= gbkTable());
  for (let i = 0; i + 2 < text.length; i++) {
    const first = table[text.charCodeAt(i)]!;
    if (!isLead(first >> 8) || !isTail(first & 0xff)) continue;
    const [second, third] = [table[text.charCodeAt(i + 1)]!, table[text.charCodeAt(i + 2)]!];
    const fits = isTail(second >> 8) && isLead(second & 0xff) && isTail(third >> 8) && isTail(third & 0xff);
    if (fits) return i;
  }
  return undefined;
}
