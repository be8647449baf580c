import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "./medgpt-error.js";

/** What `writeFileAtomic` takes; an iterable's blocks are written one after the other, never all held at once. */
export type FileData = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/** Names of what `writeFileAtomic` leaves behind when the process is killed. */
export const UNFINISHED_FILE = /^\..+\.[0-9a-f]{12}\.tmp$/;

/** System errors that the user can mend, and how. */
const MENDS: ReadonlyMap<string | undefined, string> = new Map([
  ["ENOSPC", "free some space"],
  ["EDQUOT", "free some space"],
  ["EROFS", "give a folder that can be written"],
  ["EACCES", "give a folder that can be written"],
  ["EPERM", "give a folder that can be written"],
]);

/** The error that the user is shown for a failed write: a full disk or a folder that may not be written, with its place. */
export function writeError(error: unknown, path: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const mend = MENDS.get(code);
  if (mend === undefined) return error;
  return new InputError(`cannot be written (${message}): ${mend}; what was complete is left as it was`, {
    place: path,
    cause: error,
  });
}

/**
 * Writes a file so that a reader (or a mapping of the old file) sees the old contents or the new, and after a crash one of
 * the two is there: the data go to a hidden file beside it, reach the disk, and then take its name.
 * @throws InputError where the disk is full or the folder may not be written
 */
export async function writeFileAtomic(path: string, data: FileData): Promise<void> {
  const aside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    const file = await open(aside, "wx");
    try {
      const blocks = typeof data === "string" || data instanceof Uint8Array ? [data] : data;
      for await (const block of blocks) await file.writeFile(block); // writes on from where the last one ended
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    // Best effort: a folder that cannot be written has nothing to be removed.
    await rm(aside, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
  await syncFolder(dirname(path));
}

/** Makes a rename in a folder last through a power failure. Windows cannot open folders, and needs no such call. */
export async function syncFolder(dir: string): Promise<void> {
  if (process.platform === "win32") return;
  const folder = await open(dir, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
