/** What the hub says of a repository: its commit and its files. Nothing of it is believed before it is checked. */
import { datasetInfo, listFiles, modelInfo } from "@huggingface/hub";
import { InputError, MedgptError } from "@medgpt/artifacts";
import { placeOf, request, type HubSource } from "./request.js";

export interface RepositoryFile {
  /** Relative, with "/" between parts, and inside the repository. */
  readonly path: string;
  readonly size: number;
  /** Of the contents: sha256 of large files (Git LFS), else Git's sha1 of a blob. Also its name in the cache. */
  readonly digest: string;
}

/** Whether a name has the form of a repository's, "name" or "owner/name", by huggingface_hub's rules. */
export function isRepositoryId(name: string): boolean {
  return /^(\w([\w.-]{0,94}\w)?\/)?\w([\w.-]{0,94}\w)?$/.test(name) && !/--|\.\./.test(name) && !name.endsWith(".git");
}

export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** @throws InputError for a revision that Git would not allow, which might lead out of the cache's folder of refs */
export function checkRevision(revision: string): void {
  // eslint-disable-next-line no-control-regex -- Git forbids control characters
  const forbidden = /[\x00-\x20\x7f~^:?*[\\]|\.\.|@\{/.test(revision);
  if (forbidden || revision.split("/").some((part) => part === "" || part.startsWith(".")))
    throw new InputError(`expected a branch, a tag or a commit, got ${JSON.stringify(revision)}`, {
      place: "--model_revision",
    });
}

/** The commit that the revision is now. */
export async function resolveCommit(source: HubSource, attempts: number): Promise<string> {
  const { type, id, revision, connection } = source;
  if (isCommit(revision)) return revision;
  const wanted = { name: id, revision, hubUrl: connection.endpoint, fetch: fetchThrough(source, attempts) };
  const { sha } = await ask(source, () =>
    type === "model"
      ? modelInfo({ ...wanted, additionalFields: ["sha"] })
      : datasetInfo({ ...wanted, additionalFields: ["sha"] }),
  );
  if (typeof sha !== "string" || !isCommit(sha)) throw wrongAnswer(source, `the commit ${JSON.stringify(sha)}`);
  return sha;
}

/** Every file of a commit. */
export async function listRepository(source: HubSource, commit: string, attempts: number): Promise<RepositoryFile[]> {
  const { type, id, connection } = source;
  const fetch = fetchThrough(source, attempts);
  return ask(source, async () => {
    const files: RepositoryFile[] = [];
    const listing = listFiles({
      repo: { type, name: id },
      recursive: true,
      revision: commit,
      hubUrl: connection.endpoint,
      fetch,
    });
    for await (const { type: kind, path, oid, size, lfs } of listing) {
      if (kind !== "file") continue;
      const file = { path, size: lfs?.size ?? size, digest: lfs?.oid ?? oid ?? "" };
      checkFile(source, file);
      files.push(file);
    }
    return files;
  });
}

/** The library's own requests go through ours, which knows the token: the library takes no tokens but Hugging Face's. */
function fetchThrough(source: HubSource, attempts: number): typeof fetch {
  return (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    return request(source, url, { headers: init?.headers, attempts, whole: true });
  };
}

/** Whatever else the library throws comes of an answer that is not in the form of the hub's. */
async function ask<T>(source: HubSource, question: () => Promise<T>): Promise<T> {
  try {
    return await question();
  } catch (error) {
    if (MedgptError.isInstance(error) || (error as Error).name === "AbortError") throw error;
    throw wrongAnswer(source, (error as Error).message, error);
  }
}

function wrongAnswer(source: HubSource, got: string, cause?: unknown): InputError {
  return new InputError(`${source.connection.endpoint} does not answer as a hub does (${got}); is HF_ENDPOINT right?`, {
    place: placeOf(source),
    cause,
  });
}

/** A path is joined to the snapshot's folder and a digest to the folder of blobs, on Windows too. */
function checkFile(source: HubSource, { path, size, digest }: RepositoryFile): void {
  const parts = typeof path === "string" ? path.split("/") : [""];
  const escapes = parts.some((part) => part === "" || part === "." || part === ".." || /[\\\0]|^[a-z]:/i.test(part));
  if (escapes)
    throw new InputError(`the hub lists the file ${JSON.stringify(path)}, which does not lie inside the repository`, {
      place: placeOf(source),
    });
  if (!Number.isSafeInteger(size) || size < 0) throw wrongAnswer(source, `the size ${size} of ${path}`);
  if (!/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(digest)) throw wrongAnswer(source, `the digest ${digest} of ${path}`);
}
