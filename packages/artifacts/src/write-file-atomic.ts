import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

/** What `writeFileAtomic` takes; an iterable's blocks are written one after the other, never all held at once. */
export type FileData = string | Uint8Array | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

/**
 * Writes a file so that a reader (or a mapping of the old file) sees the old contents or the new, and after a crash one of
 * the two is there: the data go to a hidden file beside it, reach the disk, and then take its name.
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
    await rm(aside, { force: true });
    throw error;
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
