import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HubServer } from "../testing/hub-server.js";
import { connectHub } from "./connection.js";
import { resolveDataset, type ResolvedDataset } from "./resolve-dataset.js";

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

const resolve = async (name: string, config: string | null = null, env = {}): Promise<ResolvedDataset> =>
  resolveDataset(
    name,
    config,
    await connectHub(
      { log: () => {} },
      { env: { HF_ENDPOINT: server.url, HF_HOME: root, ...env }, pause: () => Promise.resolve() },
    ),
  );

const card = `---
configs:
  - config_name: en
    data_files:
      - { split: train, path: "en/*" }
      - { split: test, path: held/test.txt }
  - config_name: zh
    default: true
    data_files: [{ split: train, path: zh.parquet }, { split: validation, path: held/*.jsonl }]
---`;
const files = {
  "README.md": card,
  "en/b.txt": "b",
  "en/a.txt": "a",
  "zh.parquet": "PAR1",
  "held/v.jsonl": "{}",
  "held/test.txt": "t",
};

describe("resolveDataset", () => {
  it("fetches the files of train and validation, large ones too, and no others", async () => {
    const commit = server.publish("datasets/org/texts", files);
    const { dir, train, validation, hub } = await resolve("org/texts");
    expect(dir).toBe(join(root, "hub/datasets--org--texts/snapshots", commit));
    expect(hub).toEqual({ id: "org/texts", commit });
    expect([train, validation]).toEqual([[join(dir, "zh.parquet")], [join(dir, "held/v.jsonl")]]);
    expect(await readFile(train[0]!, "utf8")).toBe("PAR1");
    expect(
      server
        .asked(/resolve/)
        .map(({ path }) => path.split(commit)[1])
        .sort(),
    ).toEqual(["/README.md", "/held/v.jsonl", "/zh.parquet"]);
    expect(server.asked(/^\/(?!api\/datasets|datasets\/)/).filter(({ host }) => host === "hub")).toEqual([]);
  });

  it("fetches the configuration asked for, its files in order", async () => {
    server.publish("datasets/org/texts", files);
    const { dir, train, validation } = await resolve("org/texts", "en");
    expect([train, validation]).toEqual([[join(dir, "en/a.txt"), join(dir, "en/b.txt")], []]);
  });

  it("refuses a card that is too large, of the hub and of a folder", async () => {
    const large = card + "\n" + "a".repeat(2 ** 22 - card.length);
    const message = "README.md: expected a data set's card of at most 4194304 bytes, but it has 4194305";
    server.publish("datasets/org/texts", { ...files, "README.md": large });
    await expect(resolve("org/texts")).rejects.toThrow(message);
    await writeFile(join(root, "README.md"), large);
    await expect(resolve(root)).rejects.toThrow(message);
  });

  it("takes the cache offline", async () => {
    server.publish("datasets/org/texts", files);
    const online = await resolve("org/texts");
    await server.close();
    expect(await resolve("org/texts", null, { HF_HUB_OFFLINE: "1" })).toEqual(online);
  });

  it("says first that there is no such folder where nobody answers", async () => {
    await server.close();
    await expect(resolve("datasets/texts")).rejects.toThrow(
      /^datasets\/texts: no folder of that name here, and 127.* cannot be reached \(ECONNREFUSED\); check the path; for the hub, try again later, or set HF_ENDPOINT/,
    );
  });

  it("takes a folder by the same rules", async () => {
    await mkdir(join(root, "here/train"), { recursive: true });
    await writeFile(join(root, "here/train/a.txt"), "a");
    await writeFile(join(root, "here/LICENSE"), "");
    const dir = join(root, "here");
    expect(await resolve(dir)).toEqual({ dir, train: [join(dir, "train/a.txt")], validation: [] });
  });

  it.each([
    ["org/none", /^org\/none: no folder here and no such dataset at /],
    [
      "a/b/c",
      /^--dataset_name a\/b\/c: no folder of that name here; expected a folder, or the "owner\/name" of a data set on the hub$/,
    ],
    ["./texts", /^--dataset_name \.\/texts: no folder of that name here; expected a folder/],
    ["~/texts", /^--dataset_name ~\/texts: no folder of that name here; expected a folder/],
    ["org/tests", /^org\/tests: expected a data set with a split train or validation, but it has only test$/],
    ["org/empty", /^org\/empty: expected a data set with a split train or validation, but it has no data files$/],
    [
      "org/csv",
      /^org\/csv: expected \.txt, \.jsonl, \.json or \.parquet files, but the data is in files such as train\.csv$/,
    ],
    ["org/texts", /^org\/texts: --dataset_config_name: the data set has no configuration "fr"; it has en, zh$/],
  ])("says what is wrong with %s", async (name, message) => {
    server.publish("datasets/org/tests", { "test.txt": "t" });
    server.publish("datasets/org/empty", { "README.md": "# Nothing" });
    server.publish("datasets/org/csv", { "train.csv": "a,b" });
    server.publish("datasets/org/texts", files);
    await expect(resolve(name, name === "org/texts" ? "fr" : null)).rejects.toThrow(message);
  });
});
