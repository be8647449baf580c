/**
 * A hub on this machine, as far as its clients ask: revisions, file trees and files, large ones from another host, access
 * tokens and gates; and every fault that a test asks for.
 */
import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface HubRequest {
  readonly method: string;
  /** "hub", or "cdn" where large files are. */
  readonly host: "hub" | "cdn";
  readonly path: string;
  readonly range: string | undefined;
  readonly authorization: string | undefined;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Close the connection after so many bytes of the body. */
  readonly cut?: number;
}

interface File {
  readonly data: Buffer;
  /** Git's hash of the blob, for large files that of the pointer. */
  readonly oid: string;
  readonly sha256: string;
  readonly large: boolean;
}

interface Repository {
  readonly files: ReadonlyMap<string, File>;
  readonly commit: string;
  /** Branches and tags. */
  readonly revisions: readonly string[];
  /** Who may read it: all, bearers of any token accepted here, or none but those of this token. */
  readonly token: string | undefined;
  readonly gated: boolean;
}

interface Fault {
  readonly path: RegExp;
  times: number;
  readonly change: (answer: Answer, request: HubRequest) => Answer;
}

export interface RepositoryOptions {
  readonly revisions?: readonly string[];
  /** The repository is private to this token, or gated for others. */
  readonly token?: string;
  readonly gated?: boolean;
}

const PAGE_ENTRIES = 3;

export class HubServer {
  readonly requests: HubRequest[] = [];
  readonly #repositories = new Map<string, Repository>();
  readonly #faults: Fault[] = [];
  readonly #servers: Server[] = [];
  #cdn = "";
  /** The endpoint. */
  url = "";

  static async start(): Promise<HubServer> {
    const hub = new HubServer();
    hub.url = await hub.#listen("hub");
    hub.#cdn = await hub.#listen("cdn");
    return hub;
  }

  /** Stops answering, as if the network were gone. */
  async close(): Promise<void> {
    for (const server of this.#servers.splice(0)) {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  }

  /**
   * Publishes files (a new commit where the repository is there) and returns the commit. Names that end in .safetensors or
   * .parquet are large files. A data set's id begins with "datasets/".
   */
  publish(
    id: string,
    files: Readonly<Record<string, string | Uint8Array>>,
    { revisions = ["main"], token, gated = false }: RepositoryOptions = {},
  ): string {
    const entries = Object.entries(files).map(
      ([path, content]) => [path, makeFile(path, Buffer.from(content))] as const,
    );
    const commit = sha1(JSON.stringify([id, entries.map(([path, { oid }]) => [path, oid])]));
    this.#repositories.set(id, { files: new Map(entries), commit, revisions, token, gated });
    return commit;
  }

  /** Changes the next `times` answers to requests for the path. */
  fault(path: RegExp, change: Fault["change"], times = 1): void {
    this.#faults.push({ path, times, change });
  }

  /** The requests that the path matches. */
  asked(path: RegExp): HubRequest[] {
    return this.requests.filter((request) => path.test(request.path));
  }

  async #listen(host: HubRequest["host"]): Promise<string> {
    const server = createServer((message, response) => this.#answer(host, message, response));
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  #answer(host: HubRequest["host"], message: IncomingMessage, response: ServerResponse): void {
    const request: HubRequest = {
      method: message.method ?? "GET",
      host,
      path: decodeURI(message.url ?? "/"),
      range: message.headers.range,
      authorization: message.headers.authorization,
    };
    this.requests.push(request);
    let answer = host === "hub" ? this.#hubAnswer(request, message.url ?? "/") : this.#cdnAnswer(request);
    const fault = this.#faults.find(({ path, times }) => times > 0 && path.test(request.path));
    if (fault !== undefined) {
      fault.times--;
      answer = fault.change(answer, request);
    }
    const length = "transfer-encoding" in answer.headers ? {} : { "content-length": String(answer.body.length) };
    response.writeHead(answer.status, { ...length, ...answer.headers });
    if (request.method === "HEAD" || answer.cut === undefined) {
      response.end(request.method === "HEAD" ? undefined : answer.body);
      return;
    }
    response.flushHeaders();
    if (answer.cut > 0) response.write(answer.body.subarray(0, answer.cut));
    setTimeout(() => response.destroy(), 50);
  }

  #hubAnswer(request: HubRequest, rawUrl: string): Answer {
    const url = new URL(rawUrl, this.url);
    const api = /^\/api\/(models|datasets)\/(.+?)\/(revision|tree)\/([^/]+)$/.exec(url.pathname);
    const file = /^\/(.+?)\/resolve\/([^/]+)\/(.+)$/.exec(url.pathname);
    const [, , name = "", , apiRevision = ""] = api ?? [];
    const [, repository = "", fileRevision = "", path = ""] = file ?? [];
    const id = api === null ? repository : `${api[1] === "datasets" ? "datasets/" : ""}${name}`;
    const found = this.#repositories.get(id);
    const known = request.authorization !== undefined;
    if (
      found === undefined ||
      (found.token !== undefined && !found.gated && request.authorization !== `Bearer ${found.token}`)
    )
      return failure(known ? 404 : 401, "RepoNotFound");
    const revision = decodeURIComponent(api === null ? fileRevision : apiRevision);
    if (revision !== found.commit && !found.revisions.includes(revision)) return failure(404, "RevisionNotFound");
    if (api?.[3] === "revision")
      return json({
        _id: "0",
        id: name,
        sha: found.commit,
        private: false,
        gated: found.gated,
        downloads: 0,
        likes: 0,
        lastModified: "2026-01-01T00:00:00.000Z",
        tags: [],
        siblings: [...found.files.keys()].map((rfilename) => ({ rfilename })),
      });
    if (api !== null) return this.#tree(found, url);
    if (found.gated && request.authorization !== `Bearer ${found.token}`)
      return failure(known ? 403 : 401, "GatedRepo");
    const wanted = found.files.get(decodeURIComponent(path));
    if (wanted === undefined) return failure(404, "EntryNotFound");
    const common = { "x-repo-commit": found.commit, "accept-ranges": "bytes" };
    if (!wanted.large) return ranged(request, wanted.data, { ...common, etag: `"${wanted.oid}"` });
    const linked = { "x-linked-etag": `"${wanted.sha256}"`, "x-linked-size": String(wanted.data.length) };
    const headers = { ...common, ...linked, location: `${this.#cdn}/${id}/${path}?${wanted.sha256}` };
    return { status: 302, headers, body: Buffer.from("Found") };
  }

  #cdnAnswer(request: HubRequest): Answer {
    const sha256 = request.path.split("?")[1];
    for (const { files } of this.#repositories.values())
      for (const file of files.values())
        if (file.sha256 === sha256) return ranged(request, file.data, { etag: `"${sha256}"` });
    return failure(404, "EntryNotFound");
  }

  /** In pages, the next of which a Link header names. */
  #tree({ files }: Repository, url: URL): Answer {
    const folders = new Set(
      [...files.keys()].flatMap((path) =>
        path
          .split("/")
          .slice(0, -1)
          .map((_, i, parts) => parts.slice(0, i + 1).join("/")),
      ),
    );
    const entries = [
      ...[...folders].map((path) => ({ type: "directory", oid: sha1(path), size: 0, path })),
      ...[...files].map(([path, { data, oid, sha256, large }]) => ({
        type: "file",
        oid,
        size: data.length,
        path,
        ...(large && { lfs: { oid: sha256, size: data.length, pointerSize: 130 } }),
      })),
    ];
    const from = Number(url.searchParams.get("cursor") ?? 0);
    const answer = json(entries.slice(from, from + PAGE_ENTRIES));
    if (from + PAGE_ENTRIES >= entries.length) return answer;
    url.searchParams.set("cursor", String(from + PAGE_ENTRIES));
    return { ...answer, headers: { ...answer.headers, link: `<${url.href}>; rel="next"` } };
  }
}

/** An error as the hub sends it. */
export function failure(status: number, code?: string, headers: Readonly<Record<string, string>> = {}): Answer {
  const body = Buffer.from(JSON.stringify({ error: code ?? String(status) }));
  return {
    status,
    headers: { "content-type": "application/json", ...(code && { "x-error-code": code }), ...headers },
    body,
  };
}

function json(value: unknown): Answer {
  return { status: 200, headers: { "content-type": "application/json" }, body: Buffer.from(JSON.stringify(value)) };
}

function ranged(request: HubRequest, data: Buffer, headers: Record<string, string>): Answer {
  const first = Number(/^bytes=(\d+)-$/.exec(request.range ?? "")?.[1] ?? NaN);
  if (Number.isNaN(first)) return { status: 200, headers, body: data };
  const range = `bytes ${first}-${data.length - 1}/${data.length}`;
  return { status: 206, headers: { ...headers, "content-range": range }, body: data.subarray(first) };
}

function makeFile(path: string, data: Buffer): File {
  const sha256 = createHash("sha256").update(data).digest("hex");
  const large = /\.(safetensors|parquet)$/.test(path);
  const stored = large
    ? `version https://git-lfs.github.com/spec/v1\noid sha256:${sha256}\nsize ${data.length}\n`
    : data;
  return { data, sha256, large, oid: sha1(`blob ${stored.length}\0`, stored) };
}

function sha1(...parts: (string | Buffer)[]): string {
  const hash = createHash("sha1");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
