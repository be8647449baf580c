import { mkdir, readFile, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { TEMPLATE_FILE } from "./chat-template.js";
import type { Tokenizer } from "./tokenizer.js";

/**
 * Copies the tokenizer's files into a folder, byte for byte; the folder is made where it is missing.
 * @param chatTemplate a Jinja template in place of the tokenizer's own
 * @returns the names of the files
 */
export async function saveTokenizer(
  tokenizer: Tokenizer,
  dir: string,
  chatTemplate?: string,
): Promise<readonly string[]> {
  const own = chatTemplate === undefined ? tokenizer.files : tokenizer.files.filter((name) => name !== TEMPLATE_FILE);
  const files = chatTemplate === undefined ? own : [...own, TEMPLATE_FILE];
  await mkdir(dir, { recursive: true });
  if (resolve(dir) !== resolve(tokenizer.dir))
    for (const name of own) await writeFileAtomic(join(dir, name), await readFile(join(tokenizer.dir, name)));
  if (chatTemplate !== undefined) await writeFileAtomic(join(dir, TEMPLATE_FILE), chatTemplate);
  // One of a run before would come before the template in tokenizer_config.json.
  else if (!files.includes(TEMPLATE_FILE)) await rm(join(dir, TEMPLATE_FILE), { force: true });
  return files;
}
