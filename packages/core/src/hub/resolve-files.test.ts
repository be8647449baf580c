import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HubServer } from "../testing/hub-server.js";
import { connectHub, type HubConnection } from "./connection.js";
import { fetchUrl } from "./fetch-url.js";
import { resolveFiles, type ResolvedFiles } from "./resolve-files.js";

let server: HubServer;
let root: string;
beforeEach(async () => {
  server = await HubServer.start();
  root = await mkdtemp(join(tmpdir(), "medgpt-hub-"));
});
afterEach(async () => {
  await server.close();
  await rm(root, { recursive: true });
});

const connect = (env = {}): Promise<HubConnection> =>
  connectHub(
    { log: () => {} },
    { env: { HF_ENDPOINT: server.url, HF_HOME: root, ...env }, pause: () => Promise.resolve() },
  );
const resolve = async (splits: Record<string, string[]>, env = {}): Promise<ResolvedFiles> =>
  resolveFiles("org/set", new Map(Object.entries(splits)), await connect(env));

const files = {
  "README.md": "no front matter",
  "a/train.json": "1",
  "a/b.csv": "2",
  "part-0.parquet": "3",
  "part-1.parquet": "4",
};

describe("resolveFiles", () => {
  it("fetches the named files of each split and no others, and finds them again offline", async () => {
    const commit = server.publish("datasets/org/set", files);
    const wanted = { train: ["a/train.json", "part-*.parquet"], test: ["a/b.csv"] };
    const { dir, splits, hub } = await resolve(wanted);
    expect(hub).toEqual({ id: "org/set", commit });
    expect(splits).toEqual(
      new Map([
        ["train", ["a/train.json", "part-0.parquet", "part-1.parquet"].map((file) => join(dir, file))],
        ["test", [join(dir, "a/b.csv")]],
      ]),
    );
    expect(await readFile(splits.get("train")![1]!, "utf8")).toBe("3");
    expect(server.asked(/README/)).toEqual([]);
    const before = server.requests.length;
    expect(await resolve(wanted, { HF_HUB_OFFLINE: "1" })).toEqual({ dir, splits, hub });
    expect(server.requests).toHaveLength(before);
  });

  it("names a file that the data set has not, and fetches nothing", async () => {
    server.publish("datasets/org/set", files);
    await expect(resolve({ train: ["a/train.json", "gone.json"] })).rejects.toThrow(
      "org/set: expected the file gone.json (split train)",
    );
    expect(server.asked(/resolve/)).toEqual([]);
  });

  it("refuses what is no repository", async () => {
    await expect(resolveFiles("../x", new Map(), await connect())).rejects.toThrow('../x: expected the "owner/name"');
  });
});

describe("fetchUrl", () => {
  let other: Server;
  let url: URL;
  const asked: (string | undefined)[] = [];
  let answers: number[] = [];
  beforeEach(async () => {
    asked.length = 0;
    answers = [];
    other = createServer((message, response) => {
      asked.push(message.headers.authorization);
      const status = answers.shift() ?? 200;
      response.writeHead(status === 1 ? 200 : status, { "content-length": "5" });
      if (status !== 1) return void response.end("[{}] ");
      response.write("[{");
      setTimeout(() => response.destroy(), 20);
    });
    await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
    url = new URL(`http://127.0.0.1:${(other.address() as AddressInfo).port}/set/data.json`);
  });
  afterEach(async () => {
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
  });

  it("fetches a file once, without the hub's token, and finds it again offline", async () => {
    const path = await fetchUrl(url, await connect({ HF_TOKEN: "hf_secret" }));
    expect(path.endsWith("/data.json")).toBe(true);
    expect(await readFile(path, "utf8")).toBe("[{}] ");
    expect(await fetchUrl(url, await connect({ HF_HUB_OFFLINE: "1" }))).toBe(path);
    expect(asked).toEqual([undefined]);
  });

  it("tries again after an answer that passes, and after one that is cut off", async () => {
    answers = [503, 1, 1];
    expect(await readFile(await fetchUrl(url, await connect()), "utf8")).toBe("[{}] ");
    expect(asked).toHaveLength(4);
  });

  it("says what the server refuses, and leaves nothing behind", async () => {
    answers = [404];
    await expect(fetchUrl(url, await connect())).rejects.toThrow(
      `${url.host} refuses (404 Not Found for /set/data.json)`,
    );
    answers = [1, 1, 1, 1, 1];
    await expect(fetchUrl(url, await connect())).rejects.toThrow("the connection was cut");
    const left = await readdir(join(root, "hub/medgpt-urls"), { recursive: true, withFileTypes: true });
    expect(left.filter((entry) => entry.isFile())).toEqual([]);
  });

  it("is refused offline where the cache has no copy", async () => {
    await expect(fetchUrl(url, await connect({ HF_HUB_OFFLINE: "1" }))).rejects.toThrow("HF_HUB_OFFLINE forbids");
  });
});
