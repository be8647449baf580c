/**
 * Snapshots of repositories in the cache that Python's huggingface_hub has too: blobs/<digest> holds contents,
 * snapshots/<commit>/<path> links to them, refs/<revision> says which commit a branch or tag was.
 */
import { randomBytes } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, rename, statfs, symlink } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { getRepoFolderName } from "@huggingface/hub";
import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import { nearestName } from "../config/nearest-name.js";
import { say } from "../run/say.js";
import { downloadBlob, sizeOf } from "./blob.js";
import { checkRevision, isCommit, listRepository, resolveCommit, type RepositoryFile } from "./repository.js";
import { ATTEMPTS, HubUnreachableError, placeOf, type HubSource } from "./request.js";

export interface Snapshot {
  /** The folder that the files are in. */
  readonly dir: string;
  readonly commit: string;
  /** Whether this is what the cache has, and perhaps not all of the repository. */
  readonly cached: boolean;
  /** Files that can be had. */
  readonly paths: readonly string[];
  /** Brings some of the files into the folder. */
  readonly fetch: (paths: readonly string[]) => Promise<void>;
}

/** Files downloaded at once. */
const PARALLEL = 4;
/** Where the cache can stand in for a hub that does not answer, it is not waited for as long. */
const ATTEMPTS_WITH_CACHE = 2;

/**
 * Opens the repository at its revision, lets `gather` fetch what it needs, and then notes the revision's commit. Offline, and
 * with a message where the hub cannot be reached, it is the commit in the cache.
 * @throws InputError where neither the hub nor the cache has it
 */
export async function withSnapshot<T>(source: HubSource, gather: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  checkRevision(source.revision);
  const { offline, cacheDir, context } = source.connection;
  const storage = join(cacheDir, getRepoFolderName({ type: source.type, name: source.id }));
  const cached = await openCached(source, storage);
  const note = (text: string, level?: "warn"): void => say(context, `${placeOf(source)}: ${text}`, level);
  if (offline) {
    if (cached === undefined)
      throw new InputError(
        `no folder here, and not in the cache ${cacheDir}; HF_HUB_OFFLINE forbids to download it: run once without`,
        { place: placeOf(source) },
      );
    note(`commit ${cached.commit} from the cache (HF_HUB_OFFLINE)`);
    return gather(cached);
  }
  let snapshot: Snapshot;
  try {
    snapshot = await openRemote(source, storage, cached === undefined ? ATTEMPTS : ATTEMPTS_WITH_CACHE);
  } catch (error) {
    if (!(error instanceof HubUnreachableError) || cached === undefined) throw error;
    note(`${error.problem}; taking commit ${cached.commit} from the cache, which may not be the newest`, "warn");
    return gather(cached);
  }
  note(`commit ${snapshot.commit}`);
  const result = await gather(snapshot);
  if (!isCommit(source.revision)) await writeRef(join(storage, "refs", source.revision), snapshot.commit);
  return result;
}

/**
 * As withSnapshot, for a name that was looked for as a folder first: the user may have meant one, so what is said before the
 * hub is asked, and where it does not answer, begins with that.
 */
export async function withNamedSnapshot<T>(source: HubSource, gather: (snapshot: Snapshot) => Promise<T>): Promise<T> {
  const { id, connection } = source;
  const missing = `no folder of that name here${await similarFolder(id)}`;
  const text = `${placeOf(source)}: ${missing}; asking ${new URL(connection.endpoint).host}`;
  if (!connection.offline) say(connection.context, text);
  let opened = false;
  const open = (snapshot: Snapshot): Promise<T> => {
    opened = true;
    return gather(snapshot);
  };
  return withSnapshot(source, open).catch((error: unknown) => {
    if (opened || !(error instanceof HubUnreachableError)) throw error;
    const { problem, advice } = error;
    throw new HubUnreachableError(`${missing}, and ${problem}`, `check the path; for the hub, ${advice}`, {
      place: placeOf(source),
      cause: error,
    });
  });
}

/** A folder that is nearly called so, beside the one that is missing. */
async function similarFolder(name: string): Promise<string> {
  const entries = await readdir(dirname(name), { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => !entry.isFile()).map((entry) => entry.name);
  const near = nearestName(basename(name), folders);
  return near === undefined ? "" : ` (there is ${join(dirname(name), near)})`;
}

async function openCached(source: HubSource, storage: string): Promise<Snapshot | undefined> {
  const { revision } = source;
  const commit = isCommit(revision)
    ? revision
    : (await readFile(join(storage, "refs", revision), "utf8").catch(() => "")).trim();
  if (!isCommit(commit)) return undefined;
  const dir = join(storage, "snapshots", commit);
  const paths = await listPaths(dir).catch(() => []);
  return paths.length === 0 ? undefined : { dir, commit, cached: true, paths, fetch: () => Promise.resolve() };
}

async function openRemote(source: HubSource, storage: string, attempts: number): Promise<Snapshot> {
  const commit = await resolveCommit(source, attempts);
  const files = new Map((await listRepository(source, commit, attempts)).map((file) => [file.path, file]));
  const dir = join(storage, "snapshots", commit);
  const fetch = (paths: readonly string[]): Promise<void> =>
    fetchFiles(
      source,
      commit,
      storage,
      paths.map((path) => files.get(path)!),
    );
  return { dir, commit, cached: false, paths: [...files.keys()], fetch };
}

async function fetchFiles(
  source: HubSource,
  commit: string,
  storage: string,
  files: readonly RepositoryFile[],
): Promise<void> {
  const { type, id, connection } = source;
  const pointer = ({ path }: RepositoryFile): string => join(storage, "snapshots", commit, path);
  const blobOf = ({ digest }: RepositoryFile): string => join(storage, "blobs", digest);
  const has = async (path: string, { size }: RepositoryFile): Promise<boolean> => (await sizeOf(path)) === size;

  const unlinked: RepositoryFile[] = [];
  for (const file of files) if (!(await has(pointer(file), file))) unlinked.push(file);
  // Equal files of a repository are one blob.
  const missing = new Map<string, RepositoryFile>();
  for (const file of unlinked) if (!(await has(blobOf(file), file))) missing.set(file.digest, file);
  if (missing.size > 0) {
    await mkdir(join(storage, "blobs"), { recursive: true });
    const total = [...missing.values()].reduce((sum, { size }) => sum + size, 0);
    const done = new Map<string, number>();
    for (const { digest } of missing.values())
      done.set(digest, (await sizeOf(join(storage, "blobs", `${digest}.incomplete`))) ?? 0);
    const sum = (): number => [...done.values()].reduce((all, bytes) => all + bytes, 0);
    await checkRoom(source, storage, total - sum());
    const names = [...missing.values()].map(({ path }) => path).join(", ");
    const text = `${placeOf(source)}: downloading ${names} (${total.toLocaleString("en")} bytes) to ${connection.cacheDir}`;
    say(connection.context, text);
    await inParallel([...missing.values()], connection.context.signal, async (file, signal) => {
      const path = file.path.split("/").map(encodeURIComponent).join("/");
      const url = new URL(
        `${connection.endpoint}/${type === "dataset" ? "datasets/" : ""}${id}/resolve/${commit}/${path}`,
      );
      const onProgress = (bytes: number): void => {
        done.set(file.digest, bytes);
        connection.context.log({ type: "progress", task: `downloading ${id}`, done: sum(), total, unit: "bytes" });
      };
      await downloadBlob({ source, file, url, blob: blobOf(file), signal, onProgress });
    });
  }
  for (const file of unlinked) await linkBlob(blobOf(file), pointer(file));
}

/** A relative link, so that the cache can be moved; it takes the place of what is there at once. */
async function linkBlob(blob: string, pointer: string): Promise<void> {
  await mkdir(dirname(pointer), { recursive: true });
  const aside = `${pointer}.${randomBytes(4).toString("hex")}.tmp`;
  // Windows may not allow links, and some disks have none.
  await symlink(relative(dirname(pointer), blob), aside).catch(() => copyFile(blob, aside));
  await rename(aside, pointer);
}

/** @throws InputError before a download that would fill the disk */
async function checkRoom(source: HubSource, storage: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(storage);
  if (bavail * bsize >= bytes) return;
  const [need, free] = [bytes, bavail * bsize].map((value) => value.toLocaleString("en"));
  throw new InputError(`the download needs ${need} bytes and the disk has ${free} free; set HF_HOME to another disk`, {
    place: placeOf(source),
  });
}

/** The first failure ends the other downloads; what they have is kept for the next attempt. */
async function inParallel<T>(
  items: readonly T[],
  outer: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const signal = outer === undefined ? stop.signal : AbortSignal.any([outer, stop.signal]);
  const waiting = items.values();
  let failure: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    try {
      for (const item of waiting) await work(item, signal);
    } catch (error) {
      failure ??= { error };
      stop.abort();
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  if (failure !== undefined) throw failure.error;
}

async function writeRef(path: string, commit: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => "")) === commit) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFileAtomic(path, commit);
}

/** Paths of the files below a folder, with "/" between parts. */
export async function listPaths(dir: string, inner = ""): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(dir, inner), { withFileTypes: true })) {
    const path = inner === "" ? entry.name : `${inner}/${entry.name}`;
    if (entry.isDirectory()) found.push(...(await listPaths(dir, path)));
    else if ((await sizeOf(join(dir, path))) !== undefined) found.push(path);
  }
  return found;
}
