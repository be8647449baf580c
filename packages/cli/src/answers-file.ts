/** The files of `medgpt generate`: prompts, a line each, and their answers, JSON lines in the same order. */
import { isUtf8 } from "node:buffer";
import { appendFile, mkdir, stat, truncate } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { decodeUtf8, splitLines, type Bytes } from "@medgpt/core/text";
import { scanJson } from "@medgpt/core/json";

export interface Prompt {
  readonly text: string;
  /** file:line */
  readonly place: string;
}

/**
 * The prompts of a text file. Lines end at LF or CRLF and nowhere else; blank ones are no prompts.
 * @throws InputError for a file that is no text, and at file:line:column for what is no UTF-8
 */
export async function readPrompts(file: string): Promise<Prompt[]> {
  const prompts: Prompt[] = [];
  let line = 0;
  for await (const { bytes } of splitLines(file, true)) {
    const text = decodeUtf8(bytes, { file, line: ++line, column: 1 }).replace(/\r$/, "");
    if (text.trim() !== "") prompts.push({ text, place: `${file}:${line}` });
  }
  if (prompts.length === 0) throw new InputError("expected a prompt in each line, got none", { place: file });
  return prompts;
}

/** A line of an answers file. */
export function answerLine(prompt: string, answer: string): string {
  return JSON.stringify({ Input: prompt, Output: answer }) + "\n";
}

/**
 * Makes an answers file ready to be gone on with, its folder included.
 * A last line that a killed run left unfinished is cut off.
 * @returns how many of the prompts, from the first on, it answers already
 * @throws InputError at file:line, having changed nothing, for what is not the answer to the prompt of that line
 */
export async function continueAnswers(
  file: string,
  prompts: readonly Prompt[],
  say: (text: string) => void,
): Promise<number> {
  await mkdir(dirname(file), { recursive: true });
  const there = await stat(file).catch(() => undefined);
  if (there?.isDirectory() === true) throw new InputError("expected a file for answers, got a folder", { place: file });
  await appendFile(file, ""); // a file that cannot be written fails before anything is computed
  let done = 0;
  for await (const { bytes, ended, offset } of splitLines(file, true)) {
    const place = `${file}:${done + 1}`;
    const prompt = prompts[done]?.text;
    if (prompt === undefined)
      throw new InputError(`there are more answers than the ${prompts.length} prompts; give another --output_file`, {
        place,
      });
    if (isAnswer(bytes, prompt)) {
      if (!ended) await appendFile(file, "\n");
      done++;
    } else if (!ended && isTornAnswer(bytes, prompt)) {
      await truncate(file, offset);
      say(`${place}: this line is not whole; it is cut off and its prompt answered again`);
    } else
      throw new InputError("this is not the answer to the prompt of that line; give another --output_file", { place });
  }
  return done;
}

function isAnswer(bytes: Bytes, prompt: string): boolean {
  if (!isUtf8(bytes)) return false;
  try {
    const row = JSON.parse(bytes.toString("utf8")) as { Input?: unknown; Output?: unknown } | null;
    return row?.Input === prompt && typeof row.Output === "string";
  } catch {
    return false;
  }
}

/** Whether bytes are the beginning of `answerLine(prompt, …)`: anything else is the user's own, and stays. */
function isTornAnswer(bytes: Bytes, prompt: string): boolean {
  const head = Buffer.from(answerLine(prompt, "").slice(0, -'"}\n'.length));
  const length = Math.min(head.length, bytes.length);
  if (!head.subarray(0, length).equals(bytes.subarray(0, length))) return false;
  if (bytes.length <= head.length) return true;
  // Characters may be torn too; one byte as one character changes nothing of what JSON is.
  const text = bytes.toString("latin1");
  return /^(\\(u[0-9a-f]{0,3})?)?$/i.test(text.slice(scanJson(text).errorAt ?? text.length));
}
