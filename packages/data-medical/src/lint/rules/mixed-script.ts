import simplifiedTable from "opencc-js/dict/STCharacters";
import traditionalTable from "opencc-js/dict/TSCharacters";
import type { LintRow, Problem, Rule } from "../rule.js";

export const mixedScript: Rule = {
  name: "mixed-script",
  finds: "Texts with simplified and traditional characters, counting only those that the other script never uses.",
  start: () => checkScripts,
};

/** Quoted names and titles may keep their own script. */
const QUOTED = /[「『“"‘《〈（(][^「『“"‘《〈（(」』”"’》〉）)\n]{1,20}[」』”"’》〉）)]/gu;
const KANA = /[\p{Script=Hiragana}\p{Script=Katakana}]/u;
const HAN = /\p{Script=Han}/gu;

function* checkScripts({ texts }: LintRow): Generator<Problem> {
  const { simplified, traditional } = exclusive();
  for (const { path, text, part } of texts) {
    // Most texts are of one script. Japanese has its own mixture.
    if (part === "rejected" || text.search(simplified) === -1 || text.search(traditional) === -1 || KANA.test(text))
      continue;
    const unquoted = text.replace(QUOTED, (quoted) => " ".repeat(quoted.length));
    const found = {
      simplified: [...unquoted.matchAll(simplified)],
      traditional: [...unquoted.matchAll(traditional)],
    };
    const isSimplified = found.simplified.length >= found.traditional.length;
    const [few, many] = isSimplified
      ? (["traditional", "simplified"] as const)
      : (["simplified", "traditional"] as const);
    const first = found[few][0];
    if (first === undefined) continue;
    const shown = [...new Set(found[few].map(([char]) => char))].slice(0, 5).join("");
    const message = `${few} ${shown} in ${many} text`;
    yield { path, at: first.index, end: first.index + 1, message, advice: `write it in ${many} characters` };
  }
}

let sets: { readonly simplified: RegExp; readonly traditional: RegExp } | undefined;

/**
 * Characters of one script alone: OpenCC changes them always, and of the two old national character sets (mainland GB 2312,
 * Taiwan Big5) only its own has them. So 后, 里, 台, 干, 著 and 於, which both write, are in neither.
 */
function exclusive(): NonNullable<typeof sets> {
  if (sets !== undefined) return sets;
  const gb2312 = characters("gbk", [0xb0, 0xf7], 0xa1);
  const big5 = characters("big5", [0xa4, 0xf9], 0x40);
  const [toTraditional, toSimplified] = [simplifiedTable, traditionalTable].map(
    (table) => new Map(table.split("|").map((entry) => [entry.split(" ")[0]!, entry.split(" ").slice(1)])),
  ) as [Map<string, string[]>, Map<string, string[]>];
  const only = (from: typeof toTraditional, to: typeof toTraditional, own: Set<string>, other: Set<string>) =>
    new RegExp(
      `[${[...from]
        .filter(([char, become]) => !become.includes(char) && !to.has(char) && own.has(char) && !other.has(char))
        .map(([char]) => char)
        .join("")}]`,
      "g",
    );
  sets = {
    simplified: only(toTraditional, toSimplified, gb2312, big5),
    traditional: only(toSimplified, toTraditional, big5, gb2312),
  };
  return sets;
}

/** The Chinese characters of a two-byte encoding. */
function characters(encoding: string, [firstLead, lastLead]: [number, number], firstTrail: number): Set<string> {
  const decoder = new TextDecoder(encoding);
  const found = new Set<string>();
  for (let lead = firstLead; lead <= lastLead; lead++) {
    for (let trail = firstTrail; trail <= 0xfe; trail++) {
      for (const [char] of decoder.decode(Uint8Array.of(lead, trail)).matchAll(HAN)) found.add(char);
    }
  }
  return found;
}
