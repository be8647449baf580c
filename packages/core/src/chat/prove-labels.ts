import { MedgptError } from "@medgpt/artifacts";
import type { Tokenizer } from "../tokenizer/tokenizer.js";
import type { EncodedTurn } from "./encode-dialog.js";

/**
 * Proves that the labels of a row are its answers: each run of labelled tokens must decode to one of them, in order, and end
 * with the token that ends an answer.
 * @param labels as `joinTurns` made them, without the questions
 * @returns how many answers the tokenizer does not give back unchanged (it may drop a space)
 * @throws MedgptError with the row where they are not
 */
export function proveLabels(
  labels: Int32Array,
  row: readonly EncodedTurn[],
  endId: number,
  tokenizer: Tokenizer,
): number {
  const learnt = row.filter((turn) => turn.learnt);
  const runs: number[][] = [];
  labels.forEach((label, index) => {
    if (label === -100) return;
    if (index === 0 || labels[index - 1] === -100) runs.push([]);
    runs.at(-1)!.push(label);
  });
  // A question without any token has nothing to part the answers around it.
  if (row.some(({ source }, index) => index > 0 && source.length === 0)) return 0;
  let inexact = 0;
  for (const [index, { text, cut }] of learnt.entries()) {
    const run = runs[index] ?? [];
    // A cut may leave half a character.
    const said = cut ? tokenizer.decode(run).replace(/\ufffd+$/, "") : tokenizer.decode(run.slice(0, -1));
    if ((cut || run.at(-1) === endId) && (cut ? text.startsWith(said) : text === said)) continue;
    const read = tokenizer.encode(text, { addSpecialTokens: false });
    const known = cut ? read.subarray(0, run.length) : read.at(-1) === endId ? read : Int32Array.of(...read, endId);
    if (known.join() !== run.join()) throw wrong(text, said);
    inexact++;
  }
  if (runs.length !== learnt.length) throw wrong(`${learnt.length} answers`, `${runs.length} labelled parts`);
  return inexact;
}

function wrong(expected: string, got: string): MedgptError {
  return new MedgptError(
    `the labels of a row are not its answers: expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`,
  );
}
