import { randomBytes } from "node:crypto";
import { mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { syncFolder, writeError } from "@medgpt/artifacts";

/** What is written comes in lines, and goes to the file in blocks. */
const BLOCK_BYTES = 1 << 20;

/** @throws InputError if the folder of a file does not exist and cannot be made */
export async function makeFolderOf(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true }).catch((error: unknown) => {
    throw writeError(error, dirname(path));
  });
}

/** A file that is written aside, a piece at a time, and takes its name when it is complete; see `writeFileAtomic`. */
export class OutputFile {
  readonly path: string;
  readonly #aside: string;
  readonly #handle: FileHandle;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #held = 0;

  private constructor(path: string, aside: string, handle: FileHandle) {
    this.path = path;
    this.#aside = aside;
    this.#handle = handle;
  }

  static async open(path: string): Promise<OutputFile> {
    await makeFolderOf(path);
    const aside = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
    try {
      return new OutputFile(path, aside, await open(aside, "wx"));
    } catch (error) {
      throw writeError(error, path);
    }
  }

  /** Keeps a copy. Only where a promise is returned, it must be awaited before the next call. */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#held + bytes.length > BLOCK_BYTES) return this.#writeThrough(bytes);
    this.#block.set(bytes, this.#held);
    this.#held += bytes.length;
    return undefined;
  }

  async #writeThrough(bytes: Uint8Array): Promise<void> {
    await this.#append(this.#block.subarray(0, this.#held));
    this.#held = 0;
    if (bytes.length > BLOCK_BYTES) await this.#append(bytes);
    else void this.write(bytes);
  }

  async #append(bytes: Uint8Array): Promise<void> {
    try {
      await this.#handle.writeFile(bytes); // goes on where the last one ended
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  async finish(): Promise<void> {
    await this.#append(this.#block.subarray(0, this.#held));
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#aside, this.path);
      await syncFolder(dirname(this.path));
    } catch (error) {
      throw writeError(error, this.path);
    }
  }

  /** Does nothing after `finish`. */
  async discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await rm(this.#aside, { force: true }).catch(() => undefined);
  }
}

/** Opens files, has them filled, and gives them their names; when anything fails before that, nothing is left of them. */
export async function writeOutputs<T>(
  paths: readonly string[],
  fill: (files: readonly OutputFile[]) => Promise<T>,
): Promise<T> {
  const files: OutputFile[] = [];
  try {
    for (const path of paths) files.push(await OutputFile.open(path));
    const result = await fill(files);
    for (const file of files) await file.finish();
    return result;
  } finally {
    for (const file of files) await file.discard();
  }
}
