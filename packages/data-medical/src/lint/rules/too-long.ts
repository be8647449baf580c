import type { LintRow, Problem, Rule, RuleOptions } from "../rule.js";

export const tooLong: Rule = {
  name: "too-long",
  finds:
    "Rows with more tokens than --max_length by --tokenizer_name_or_path; the tokens of a chat template come on top.",
  start: ({ tokenizer, maxLength }) =>
    tokenizer === undefined || maxLength === undefined ? () => [] : (row) => checkLength(row, tokenizer, maxLength),
};

/** Points at the text in which the limit is passed. An answer and its rejected rival are read one at a time. */
function* checkLength(
  { texts }: LintRow,
  tokenizer: NonNullable<RuleOptions["tokenizer"]>,
  maxLength: number,
): Generator<Problem> {
  // A byte or more makes a token, so most rows need not be encoded.
  const bytes = texts.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  if (bytes <= maxLength) return;
  const counts = texts.map(({ text }) => tokenizer.encode(text, { addSpecialTokens: false }).length);
  let shared = 0;
  let answer = 0;
  let rejected = 0;
  for (const [index, { path, part }] of texts.entries()) {
    const tokens = counts[index]!;
    if (part === "rejected") rejected += tokens;
    else if (path[0] === "chosen" || path[0] === "response_chosen") answer += tokens;
    else shared += tokens;
    const total = shared + Math.max(answer, rejected);
    if (total <= maxLength) continue;
    const message = `more than ${maxLength} tokens, up to the end of this text ${total}`;
    yield { path, message, advice: "shorten or split the row, or raise --max_length" };
    return;
  }
}
