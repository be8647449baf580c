/**
 * Tokenises files once and keeps the ids on disk: a folder named by a digest of everything that decides them, with
 * tokens.bin (int32), offsets.bin (f64, documents + 1) and meta.json. A folder is written aside and renamed, so one that
 * is there is complete; it is checked against its own sizes all the same.
 */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { basename, extname, join } from "node:path";
import { InputError, MedgptError, syncFolder } from "@medgpt/artifacts";
import { isRunning } from "../../run/is-running.js";
import type { RunContext } from "../../run/run-context.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { readDocuments } from "../files/read-documents.js";
import { joinIds } from "../packing/row-packer.js";
import type { TokenDocuments } from "./token-documents.js";

export interface TokenCacheOptions {
  /** Default: $XDG_CACHE_HOME or ~/.cache, then medgpt/tokens. */
  readonly cacheDir?: string | undefined;
  /** Tokenise again even where the cache has these files. */
  readonly overwriteCache?: boolean;
}

export interface TokenizeFilesOptions extends TokenCacheOptions {
  /** Whether the ids of a document begin as the tokenizer begins a text (with bos for some families). Default true. */
  readonly addSpecialTokens?: boolean;
  /** Whether a .txt document keeps its "\n". */
  readonly keepLinebreaks: boolean;
}

export interface TokenCache extends TokenDocuments {
  readonly documents: number;
  readonly tokens: number;
  /** Other counts from the time when they were made, such as lines without text. */
  readonly counts: Readonly<Record<string, number>>;
  /** Whether the ids were there already. */
  readonly reused: boolean;
  /** SHA-256 of what the files hold, in hex. */
  readonly contents: string;
  /** The cache's folder for these files. */
  readonly folder: string;
  /** Closes the file of ids; nothing can be read afterwards. */
  close(): Promise<void>;
}

/** What to say after the counts of a cache. */
export function cacheNote({ reused }: TokenCache): string {
  return reused ? "; the tokens are from the cache" : "";
}

/** What a cache is made of, and how. */
export interface TokenSource {
  readonly files: readonly string[];
  /** Everything but the contents of the files that decides the ids. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * Makes the ids, a few documents at a time.
   * @param report takes the bytes of the files that are done with
   * @returns what is to be counted
   */
  produce(
    write: (documents: readonly Int32Array[]) => Promise<void>,
    report: (bytes: number) => void,
  ): Promise<Record<string, number>>;
}

/** Part of the digest: raised when the same input would give other ids or another layout. */
const FORMAT = 3;

/** Texts that are given to the tokenizer at once: enough to keep all cores busy, little enough to hold. */
const BATCH_DOCUMENTS = 8192;
const BATCH_CHARACTERS = 4 << 20;

/**
 * The tokenised documents of text files, from the cache or made now. Its counts have `skippedBlank`, lines without text,
 * `withSpecial`, documents with special tokens of the tokenizer in their text, and `halfPairs` where there are documents with
 * half of a surrogate pair, which is read as U+FFFD.
 * @throws InputError for malformed text (see readDocuments), and where the files hold no document at all
 */
export async function tokenizeFiles(
  files: readonly string[],
  tokenizer: Tokenizer,
  { addSpecialTokens = true, keepLinebreaks, ...cache }: TokenizeFilesOptions,
  context: RunContext,
): Promise<TokenCache> {
  const produce: TokenSource["produce"] = async (write, report) => {
    const reader = readDocuments(files, { keepLinebreaks });
    let batch: string[] = [];
    let [characters, documents, withSpecial, halfPairs] = [0, 0, 0, 0];
    const special = new Set(tokenizer.specialTokens.values());
    const specialsOf = (ids: Int32Array): number => ids.reduce((sum, id) => sum + (special.has(id) ? 1 : 0), 0);
    const added = specialsOf(tokenizer.encode("", { addSpecialTokens }));
    const flush = async (): Promise<void> => {
      const encoded = await tokenizer.encodeBatch(batch, { addSpecialTokens });
      await write(encoded);
      for (const ids of encoded) if (specialsOf(ids) > added) withSpecial++;
      documents += batch.length;
      batch = [];
      characters = 0;
      report(reader.bytesRead);
    };
    for await (const { text } of reader) {
      if (!text.isWellFormed()) halfPairs++;
      batch.push(text);
      characters += text.length;
      if (batch.length === BATCH_DOCUMENTS || characters >= BATCH_CHARACTERS) await flush();
    }
    if (batch.length > 0) await flush();
    if (documents === 0) {
      const where = files.length === 1 ? basename(files[0]!) : `any of the ${files.length} files`;
      throw new InputError(`expected text, but there is none in ${where}: ${reader.skippedBlank} blank lines`, {
        place: files[0] ?? "",
      });
    }
    return { skippedBlank: reader.skippedBlank, withSpecial, ...(halfPairs > 0 && { halfPairs }) };
  };
  const settings = { tokenizer: tokenizer.digest, addSpecialTokens, keepLinebreaks };
  return cachedTokens({ files, settings, produce }, cache, context);
}

/**
 * Documents of ids made from files, from the cache or made now.
 * @throws InputError where the cache cannot be written, and whatever making them throws
 */
export async function cachedTokens(
  { files, settings, produce }: TokenSource,
  options: TokenCacheOptions,
  context: RunContext,
): Promise<TokenCache> {
  const root = options.cacheDir ?? join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "medgpt", "tokens");
  const contents = await digestFiles(files, context);
  const key = createHash("sha256")
    .update(JSON.stringify({ format: FORMAT, ...settings, contents }))
    .digest("hex")
    .slice(0, 32);
  const folder = join(root, key);
  const digest = createHash("sha256").update(JSON.stringify(contents.files)).digest("hex");

  if (options.overwriteCache !== true) {
    const cache = await openCache(folder, digest, true);
    if (cache !== undefined) return cache;
  }
  const partial = join(root, partialName(key, process.pid));
  try {
    await mkdir(partial, { recursive: true });
    await removeLeftovers(root);
    await build(partial, produce, contents.bytes, context);
    // A folder cannot be renamed onto another; whoever has the old one open keeps its files.
    await rm(folder, { recursive: true, force: true });
    await rename(partial, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another process was faster, and equal names mean equal contents.
      if (error.code !== "ENOTEMPTY" && error.code !== "EEXIST") throw error;
    });
    await syncFolder(root);
  } catch (error) {
    const { syscall, message } = error as NodeJS.ErrnoException;
    // Reading the texts gives errors of ours, so what the system complains about is the cache.
    if (syscall !== undefined) {
      throw new InputError(`the token cache cannot be written (${message}); give a folder with --cache_dir`, {
        place: root,
        cause: error,
      });
    }
    throw error;
  } finally {
    // Best effort: what went wrong with the folder has been thrown already.
    await rm(partial, { recursive: true, force: true }).catch(() => undefined);
  }
  const cache = await openCache(folder, digest, false);
  if (cache === undefined) throw new MedgptError(`the token cache ${folder} was damaged while it was written`);
  return cache;
}

/** The folder that a process tokenises into; its name says which process, so that a killed one's can be told. */
function partialName(key: string, pid: number): string {
  return `.${key}.partial-${pid}-${hostname()}`;
}

/** Removes what processes of this machine that are no longer there left half tokenised. */
async function removeLeftovers(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const [, key, pid] = /^\.([0-9a-f]{32})\.partial-(\d+)-/.exec(name) ?? [];
    if (key === undefined || name !== partialName(key, Number(pid)) || isRunning(Number(pid))) continue;
    await rm(join(root, name), { recursive: true, force: true });
  }
}

/** What the files hold, in order; names do not matter but for the extension, so a copied folder is found again. */
async function digestFiles(files: readonly string[], context: RunContext): Promise<{ bytes: number; files: string[] }> {
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  const report = progress("looking for cached tokens", bytes, context);
  const digests: string[] = [];
  let done = 0;
  for (const file of files) {
    const hash = createHash("sha256");
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      context.signal?.throwIfAborted();
      hash.update(chunk);
      report((done += chunk.length));
    }
    digests.push(`${hash.digest("hex")}${extname(file)}`);
  }
  return { bytes, files: digests };
}

async function build(
  folder: string,
  produce: TokenSource["produce"],
  totalBytes: number,
  context: RunContext,
): Promise<void> {
  const report = progress("tokenising", totalBytes, context);
  const offsets = [0];
  let counts: Record<string, number> = {};
  await withNewFile(join(folder, "tokens.bin"), async (tokens) => {
    const write = async (documents: readonly Int32Array[]): Promise<void> => {
      context.signal?.throwIfAborted();
      for (const ids of documents) offsets.push(offsets.at(-1)! + ids.length);
      await tokens.writeFile(new Uint8Array(joinIds(documents).buffer));
    };
    counts = await produce(write, report);
  });
  report(totalBytes);
  await withNewFile(join(folder, "offsets.bin"), (file) =>
    file.writeFile(new Uint8Array(Float64Array.from(offsets).buffer)),
  );
  const meta = { documents: offsets.length - 1, tokens: offsets.at(-1)!, counts };
  await withNewFile(join(folder, "meta.json"), (file) => file.writeFile(JSON.stringify(meta)));
  await syncFolder(folder);
}

async function withNewFile(path: string, write: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, "w");
  try {
    await write(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** undefined where the folder is missing or is not what its meta.json says. */
async function openCache(folder: string, contents: string, reused: boolean): Promise<TokenCache | undefined> {
  let file: FileHandle | undefined;
  try {
    const meta = JSON.parse(await readFile(join(folder, "meta.json"), "utf8")) as Record<string, unknown>;
    const { documents, tokens, counts } = meta as unknown as Pick<TokenCache, "documents" | "tokens" | "counts">;
    const bytes = await readFile(join(folder, "offsets.bin"));
    const sound = bytes.length === 8 * (documents + 1) && Object.values(counts).every(Number.isSafeInteger);
    const offsets = sound ? new Float64Array(new Uint8Array(bytes).buffer) : new Float64Array(0);
    const rising = offsets.every((offset, i) => Number.isSafeInteger(offset) && offset >= (offsets[i - 1] ?? 0));
    file = await open(join(folder, "tokens.bin"), "r");
    const size = (await file.stat()).size;
    if (!sound || !rising || offsets[0] !== 0 || offsets.at(-1) !== tokens || size !== 4 * tokens) {
      await file.close();
      return undefined;
    }
    const ids = file;
    return {
      offsets,
      documents,
      tokens,
      counts,
      reused,
      contents,
      folder,
      readTokens: (start, count) => readIds(ids, folder, start, count),
      close: () => ids.close(),
    };
  } catch {
    await file?.close();
    return undefined;
  }
}

async function readIds(file: FileHandle, folder: string, start: number, count: number): Promise<Int32Array> {
  const ids = new Int32Array(count);
  const bytes = new Uint8Array(ids.buffer);
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, 4 * start + done);
    if (bytesRead === 0) throw new MedgptError(`the token cache ${folder} ends before id ${start + count}`);
    done += bytesRead;
  }
  return ids;
}

/** Reports at most ten times a second, and the end, unless that comes at once. */
function progress(task: string, total: number, { log }: RunContext): (done: number) => void {
  let last = performance.now();
  let reported = false;
  return (done) => {
    if ((done < total || !reported) && performance.now() - last < 100) return;
    last = performance.now();
    reported = true;
    log({ type: "progress", task, done, total, unit: "bytes" });
  };
}
