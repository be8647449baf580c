import { readFile, stat } from "node:fs/promises";
import { InputError } from "@medgpt/artifacts";

/**
 * The text of a file that is read whole; undefined where there is no such file. Pipes and devices are never opened, because
 * that may wait for ever.
 * @param what names the file in a message, as in "a chat template"
 * @throws InputError for what is no regular file, and for one with more than `most` bytes
 */
export async function readShortText(path: string, most: number, what: string): Promise<string | undefined> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (info === undefined) return undefined;
  if (!info.isFile())
    throw new InputError(`expected a file, but this is ${info.isDirectory() ? "a folder" : "a pipe or device"}`, {
      place: path,
    });
  checkSize(info.size, most, what, path);
  return readFile(path, "utf8");
}

/** @throws InputError where there are more bytes than a text of that kind may have */
export function checkSize(bytes: number, most: number, what: string, place: string): void {
  if (bytes > most) throw new InputError(`expected ${what} of at most ${most} bytes, but it has ${bytes}`, { place });
}
