import type { LintRow, Problem, Rule } from "../rule.js";

export const truncated: Rule = {
  name: "truncated",
  finds:
    "Answers that stop at a comma or a word that wants another, in a bracket or a block of code, or without an end where their other sentences have one.",
  start: () => checkAnswers,
};

function* checkAnswers({ texts }: LintRow): Generator<Problem> {
  for (const { path, text, part } of texts) {
    const cut = part === "answer" ? whereCut(text.trimEnd()) : undefined;
    if (cut === undefined) continue;
    const { how, ...place } = cut;
    yield { path, ...place, message: `the answer stops ${how}`, advice: "complete the answer, or remove the row" };
  }
}

const WANTS_MORE =
  /[，、,（(【「『“《]+$|(?<=[，。；、\s])(?:和|与|及|以及|或|或者|并|并且|而|而且|但|但是|因为|所以|如果|由于|例如|比如|包括)$|(?<=[a-z,]\s)(?:and|or|but|the|a|an|of|to|with|because|such as|for)$/;
const OPEN_BRACKET = /[（「『《【“][^）」』》】”\n]*$/;
const ENDS_IN_WORD = /[\p{Script=Han}\p{Script=Latin}\d]$/u;
const SENTENCE_END = /[。！？!?]|\.\s/g;

/** Shorter answers, and last sentences, are too often names, figures or headings that have no full stop. */
const MIN_ANSWER = 100;
const MIN_SENTENCE = 15;
/** Items of lists, good wishes, hashtags and addresses have none either. */
const NO_SENTENCE = /^\s*(?:[-*•#|]|\d+[.、)])|祝|[#＃]\S|:\/\//u;

function whereCut(text: string): { at: number; end: number; how: string } | undefined {
  const fences = [...text.matchAll(/^ *(?:```|~~~)/gm)];
  if (fences.length % 2 === 1) {
    const { 0: fence, index } = fences.at(-1)!;
    return { at: index + fence.length - 3, end: index + fence.length, how: "in a block of code, which has no end" };
  }
  const end = text.length;
  const more = WANTS_MORE.exec(text);
  if (more !== null) return { at: more.index, end, how: `at ${JSON.stringify(more[0])}, after which more must come` };
  if (!ENDS_IN_WORD.test(text)) return undefined;
  const open = OPEN_BRACKET.exec(text);
  if (open !== null) return { at: open.index, end: open.index + 1, how: `within ${open[0][0]!}, which is not closed` };
  if (end < MIN_ANSWER) return undefined;
  const lastLine = text.lastIndexOf("\n") + 1;
  const ends = [...text.slice(lastLine).matchAll(SENTENCE_END)];
  const sentence = lastLine + (ends.length === 0 ? 0 : ends.at(-1)!.index + 1);
  if (ends.length < 2 || end - sentence < MIN_SENTENCE || NO_SENTENCE.test(text.slice(sentence))) return undefined;
  return { at: end - 1, end, how: "without the end of its last sentence, which its others have" };
}
