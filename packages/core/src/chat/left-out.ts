/** In words, which data is not learnt as it stands. Each text begins with the thing that is counted. */

import { counted } from "../run/counted.js";

/** Turns that are left out, and parts of a row that are not read. */
export type LeftOut =
  | "answer before the first question"
  | "answer without text"
  | "question without an answer"
  | "question without text"
  | "call with null for what its tool does not declare"
  | "row with tools that are not shown"
  | "row with two system prompts"
  | `turn of role ${string}`
  | `turn with ${string}`
  | `column ${string}`;

/** Other things that may happen to a row before it becomes ids. */
export type Changed =
  | "conversation without an answer"
  | "row with half of a character"
  | "conversation with special tokens of the tokenizer in the text"
  | "system prompt that the chat template does not show"
  | "answer that the tokenizer does not give back to the letter";

/** Differences between the text of training and that of generation. */
export type Unlike = typeof EARLIER | typeof ELSEWHERE;
export const EARLIER = "turn whose earlier answers stand in a prompt as other tokens";
export const ELSEWHERE = "prompt that the template itself does not write before an answer";

/** A conversation that becomes several rows, whatever its length. */
export const REWRITTEN = "conversation whose earlier turns are written or read otherwise later on";

/** Effects of the length limit on a conversation, and the differences from generation. */
export type Cut =
  | Unlike
  | "question cut at its beginning"
  | "answer cut at its end"
  | "no room for the answer"
  | "split"
  | typeof REWRITTEN;

/** The rest of each message: what was done, and what helps. */
const ADVICE: readonly (readonly [what: string, advice: string])[] = [
  ["answer before the first question", "left out"],
  ["answer without text", "left out with the question"],
  ["question without an answer", "left out"],
  ["question without text", "left out with the answer"],
  ["call with null for what its tool does not declare", "the nulls are left out, as tables fill them in"],
  ["row with tools that are not shown", "give --tool_format to describe them to the model"],
  ["row with half of a character", "such as \\ud83d, read as U+FFFD; medgpt data lint says where"],
  ["row with two system prompts", "one is left out, a turn before a column and the last turn before others"],
  ["turn of role", "left out, as the role is not known"],
  ["turn with", "that field is not read"],
  ["column", "not read"],
  ["conversation without an answer", "left out"],
  [
    "conversation with special tokens of the tokenizer in the text",
    "they act as such, and may forge a turn or end an answer; medgpt data lint --tokenizer says where",
  ],
  ["system prompt that the chat template does not show", "give another --template_name"],
  ["answer that the tokenizer does not give back to the letter", "learnt as the tokenizer has it"],
  ["split", "each becomes several rows"],
  [REWRITTEN, "each becomes several rows, with those turns as they are in use"],
  [EARLIER, "the template or the tokenizer writes them otherwise in use than they are learnt"],
  [ELSEWHERE, "a model is given it in use, and learns to answer after it"],
  ["question cut at its beginning", "raise --model_max_length to keep it whole"],
  ["answer cut at its end", "raise --model_max_length to keep it whole"],
  ["no room for the answer", "left out; raise --model_max_length"],
];

/** Texts to print for keys that do not begin with the thing that is counted. */
const NAMES: Readonly<Record<string, string>> = {
  split: "conversation longer than --model_max_length",
  "no room for the answer": "answer for which a row has no room",
};

/**
 * A line for people.
 * @param times how often; without it, of a single row
 */
export function sayLeftOut(what: string, times?: number): string {
  const name = NAMES[what] ?? what;
  const advice = ADVICE.find(([begin]) => what === begin || what.startsWith(`${begin} `))?.[1];
  const [noun, ...rest] = name.split(" ");
  const said = times === undefined ? name : [counted(times, noun!), ...rest].join(" ");
  return advice === undefined ? said : `${said}: ${advice}`;
}
