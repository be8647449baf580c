import { isUtf8 } from "node:buffer";
import { readFile, stat } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { ArtifactError } from "./artifact-error.js";

/**
 * Files of JSON are read whole. The largest known, tokenizer.json files of 260,000 tokens, have 35 MB; a larger file than
 * this is something else. A value takes up to 30 times the memory of its text (`[{},{},…`), and Node's heap ends at 4 GB.
 */
const MAX_BYTES = 64 << 20;

/** What we read is nested 5 levels deep, tokenizer.json 10; whatever walks a value (JSON.stringify too) may recurse. */
const MAX_DEPTH = 200;

/**
 * The text of a JSON file, without a byte order mark; undefined where there is no such file. It is not parsed, but is known
 * not to exhaust the memory or the stack of who parses it. Pipes and devices are never opened, because that may wait for ever.
 * @throws {ArtifactError} for what is no regular file, is too large, nested too deeply or not UTF-8
 */
export async function readJsonText(path: string): Promise<string | undefined> {
  const refuse = (problem: string, cause?: unknown): never => {
    throw new ArtifactError(problem, { reason: "bad-file", path: dirname(path), file: basename(path), cause });
  };
  let bytes: Buffer;
  try {
    const info = await stat(path);
    if (!info.isFile()) refuse(`expected a file, but this is ${info.isDirectory() ? "a folder" : "a pipe or device"}`);
    if (info.size > MAX_BYTES) refuse(`expected a JSON file of at most ${MAX_BYTES} bytes, but it has ${info.size}`);
    bytes = await readFile(path);
  } catch (error) {
    if (error instanceof ArtifactError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    return code === "ENOENT" ? undefined : refuse(`cannot be read (${message})`, error);
  }
  if (!isUtf8(bytes)) refuse("expected JSON in UTF-8, but it has bytes that are not; save it as UTF-8");
  const text = bytes.toString("utf8").replace(/^\uFEFF/, "");
  if (nestsTooDeeply(text)) refuse(`expected JSON of at most ${MAX_DEPTH} levels, but it is nested deeper`);
  return text;
}

/** Whether brackets outside of strings open more than MAX_DEPTH levels at once, in text that need not be JSON. */
export function nestsTooDeeply(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      // To the end of the string; an escaped quote has an odd number of backslashes before it.
      for (at++; at < text.length && text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
    } else if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return false;
}
