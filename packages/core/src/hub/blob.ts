/** The contents of one file, brought into the cache's folder of blobs: resumed where they were cut off, and verified. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { constants, open, rename, rm, stat, type FileHandle } from "node:fs/promises";
import { InputError } from "@medgpt/artifacts";
import { say } from "../run/say.js";
import type { RepositoryFile } from "./repository.js";
import { ATTEMPTS, describeFailure, HubUnreachableError, placeOf, request, type HubSource } from "./request.js";

/** A connection on which nothing came for so long is given up for another. */
const STALL_MS = 60_000;

export interface BlobRequest {
  readonly source: HubSource;
  readonly file: RepositoryFile;
  readonly url: URL;
  /** The path of the contents. An unfinished download is kept beside it, in <blob>.incomplete. */
  readonly blob: string;
  readonly signal: AbortSignal;
  /** Told how many bytes are there, those of an earlier download included. */
  readonly onProgress: (bytes: number) => void;
}

/**
 * Two processes may do this at once: both write the same bytes to the same places of the one .incomplete file, and neither
 * ever shortens it, so that its size is always how much of it is there. Whoever is first renames it.
 * @throws InputError for another size or digest than the hub lists, leaving nothing behind; HubUnreachableError and
 * AbortError, leaving what has come
 */
export async function downloadBlob(given: BlobRequest): Promise<void> {
  const { source, file, blob } = given;
  const partial = `${blob}.incomplete`;
  for (let attempt = 1; ; attempt++) {
    if (((await sizeOf(partial)) ?? 0) > file.size) await rm(partial, { force: true });
    const resumed = await complete(given, partial);
    let path = partial;
    let found = await digestOf(path, file);
    // Where the file is gone, another process has renamed it, or removed it for a fault.
    if (found === undefined) found = await digestOf((path = blob), file);
    if (found === file.digest) {
      if (path === partial) await rename(partial, blob).catch(ignoreRenamed(blob));
      return;
    }
    await rm(path, { force: true });
    // What an earlier run left may be at fault, as after a power failure: once more, from the start.
    if ((resumed || found === undefined) && attempt === 1) continue;
    throw new InputError(
      `${file.path} does not have the digest that the hub lists (${file.digest}); download it again`,
      {
        place: placeOf(source),
      },
    );
  }
}

/** Appends to the .incomplete file until it has its size; returns whether there was something of it before. */
async function complete(given: BlobRequest, partial: string): Promise<boolean> {
  const { source, file, onProgress, signal } = given;
  const handle = await open(partial, constants.O_RDWR | constants.O_CREAT);
  try {
    const start = (await handle.stat()).size;
    onProgress(start);
    let offset = start;
    for (let failures = 0; offset < file.size;) {
      signal.throwIfAborted();
      const received = await receive(given, handle, offset);
      failures = received.offset > offset ? 0 : failures + 1;
      offset = received.offset;
      if (received.cut === undefined) continue;
      const problem = `${file.path}: the connection was cut after ${offset.toLocaleString("en")} of ${file.size.toLocaleString("en")} bytes (${received.cut})`;
      if (failures >= ATTEMPTS)
        throw new HubUnreachableError(problem, "run the same command again to go on from there", {
          place: placeOf(source),
        });
      say(source.connection.context, `${placeOf(source)}: ${problem}; going on from there`, "warn");
      await source.connection.pause(1000 * failures, signal);
    }
    await handle.datasync();
    return start > 0;
  } catch (error) {
    if (error instanceof WrongAnswer || (await sizeOf(partial)) === 0) await rm(partial, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** The bytes that arrive cannot be those of the file, so the unfinished download must not be continued. */
class WrongAnswer extends InputError {}

/** Takes one answer, from `offset` or, where the server sends all of it, from the start. `cut` says why it ended early. */
async function receive(
  { source, file, url, signal, onProgress }: BlobRequest,
  handle: FileHandle,
  offset: number,
): Promise<{ offset: number; cut?: string }> {
  const wrong = (what: string): WrongAnswer =>
    new WrongAnswer(`${file.path} comes with ${what}, and the hub lists ${file.size} bytes; try again later`, {
      place: placeOf(source),
    });
  const stall = new AbortController();
  const response = await request(source, url, {
    // Compressed on the way, the bytes would have neither the listed size nor places to go on from.
    headers: { "accept-encoding": "identity", ...(offset > 0 && { range: `bytes=${offset}-` }) },
    signal: AbortSignal.any([signal, stall.signal]),
  });
  const timer = setTimeout(() => stall.abort(new DOMException("no bytes came", "TimeoutError")), STALL_MS);
  try {
    const size = response.headers.get("content-length");
    if (response.status === 206) {
      const range = response.headers.get("content-range") ?? "no range";
      if (!range.startsWith(`bytes ${offset}-`) || !range.endsWith(`/${file.size}`)) throw wrong(`the range ${range}`);
    } else {
      if (size !== null && Number(size) !== file.size) throw wrong(`${size} bytes`);
      offset = 0;
    }
    const reader = response.body?.getReader();
    for (;;) {
      const next = await reader?.read().catch((error: unknown) => error as Error);
      if (next instanceof Error) {
        signal.throwIfAborted();
        return { offset, cut: describeFailure(next) };
      }
      if (next === undefined || next.done) return offset < file.size ? { offset, cut: "it ended" } : { offset };
      if (offset + next.value.length > file.size) throw wrong("more bytes");
      await handle.write(next.value, 0, next.value.length, offset);
      offset += next.value.length;
      onProgress(offset);
      timer.refresh();
    }
  } finally {
    clearTimeout(timer);
    stall.abort(); // closes the connection of an answer that is not read to its end
  }
}

/** undefined where there is no such file. */
async function digestOf(path: string, { size, digest }: RepositoryFile): Promise<string | undefined> {
  const git = digest.length === 40;
  const hash = createHash(git ? "sha1" : "sha256");
  if (git) hash.update(`blob ${size}\0`);
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  return hash.digest("hex");
}

/** undefined where there is no such file; links are followed. */
export async function sizeOf(path: string): Promise<number | undefined> {
  return stat(path).then(
    (info) => (info.isFile() ? info.size : undefined),
    () => undefined,
  );
}

/** The other of two processes that finish at once finds the file renamed. */
function ignoreRenamed(blob: string): (error: NodeJS.ErrnoException) => Promise<void> {
  return async (error) => {
    if (error.code !== "ENOENT" || (await sizeOf(blob)) === undefined) throw error;
  };
}
