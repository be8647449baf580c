import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Copies the tokenizer's files into a folder, byte for byte; the folder is made where it is missing.
 * @returns the names of the files
 */
export async function saveTokenizer(tokenizer: Tokenizer, dir: string): Promise<readonly string[]> {
  if (resolve(dir) === resolve(tokenizer.dir)) return tokenizer.files;
  await mkdir(dir, { recursive: true });
  for (const name of tokenizer.files) await writeFileAtomic(join(dir, name), await readFile(join(tokenizer.dir, name)));
  return tokenizer.files;
}
