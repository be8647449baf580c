import type { LintRow, Problem, Rule } from "../rule.js";

export const personalData: Rule = {
  name: "personal-data",
  finds:
    "Chinese telephone numbers, identity numbers whose checksum (18 digits) or region and date (15) hold, and e-mail addresses.",
  start: () => checkPersonalData,
};

/** What may not touch a number on either side: it would be a part of a longer number, a version, an address, a name. */
const BEFORE = String.raw`(?<![\p{Script=Latin}\d_./=#&?%@*+]|[\p{Script=Latin}\d]-)`;
const AFTER = String.raw`(?![\p{Script=Latin}\d_=/@*]|[.-]\d|,\d{3}(?!\d))`;

const MOBILE = String.raw`(?:(?:\+|00)?86[- ]?)?1(?:3\d|4[014-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])(?:\d{8}|(?<gap>[- ])\d{4}\k<gap>\d{4})`;
const AREA = String.raw`(?:10|2[0-57-9]|[3-9]\d{2})`;
const LANDLINE = String.raw`(?:[(（]0${AREA}[)）][- ]?|${BEFORE}(?:\+86[- ]0?|0)${AREA}[- ])[2-8]\d{6,7}`;
const IDENTITY = String.raw`[1-8]\d{5}(?:(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dXx]|\d{2}[01]\d[0-3]\d{4})`;
const EMAIL = String.raw`(?<![A-Za-z0-9._%+/@-]|(?<!mailto):)[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9_@]|:[A-Za-z0-9~/])`;

const PATTERN = new RegExp(
  `(?<mobile>${BEFORE}${MOBILE}${AFTER})|(?<landline>${LANDLINE}${AFTER})|(?<identity>${BEFORE}${IDENTITY}${AFTER})|(?<email>${EMAIL})`,
  "gu",
);

/** Domains that stand for any (RFC 2606), and words that stand for a name. */
const PLACEHOLDER = /@(?:.+\.)?(?:example|test|invalid|localhost)(?:\.[a-z]+)?$|@(?:domain|your[\w-]*)\./i;

function* checkPersonalData({ texts }: LintRow): Generator<Problem> {
  for (const { path, text } of texts) {
    for (const { 0: found, index, groups } of text.matchAll(PATTERN)) {
      const { identity, email } = groups!;
      if (identity !== undefined && !isIdentityNumber(identity)) continue;
      if (email !== undefined && PLACEHOLDER.test(email)) continue;
      const message = identity ? "an identity number" : email ? "an e-mail address" : "a telephone number";
      yield { path, at: index, end: index + found.length, message, advice: "remove or mask it" };
    }
  }
}

const REGIONS: ReadonlySet<number> = new Set([
  11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
  64, 65, 71, 81, 82, 83,
]);

/** GB 11643: region, date of birth, serial number and, in the longer form, the check digit of ISO 7064 MOD 11-2. */
export function isIdentityNumber(number: string): boolean {
  const long = number.length === 18;
  if (!REGIONS.has(Number(number.slice(0, 2))) || number.slice(2, 6) === "0000") return false;
  const date = long ? number.slice(6, 14) : `19${number.slice(6, 12)}`;
  const [year, month, day] = [date.slice(0, 4), date.slice(4, 6), date.slice(6)].map(Number) as [
    number,
    number,
    number,
  ];
  const born = new Date(Date.UTC(year, month - 1, day));
  if (born.getUTCMonth() !== month - 1 || born.getUTCDate() !== day || born.getTime() > Date.now()) return false;
  if (!long) return true;
  // Weights are powers of two modulo 11, so Horner's rule does without them.
  let sum = 0;
  for (const char of number) sum = (sum * 2 + (char === "X" || char === "x" ? 10 : Number(char))) % 11;
  return sum === 1;
}
