/** `medgpt data pull` from a hub on this machine, and `medgpt data list`. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { openDataset } from "@medgpt/artifacts";
import { readRows, type DataRow } from "@medgpt/core/data";
import { HubServer } from "@medgpt/core/testing";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import { listCards } from "../cards/card.js";
import { detectFormat } from "../formats/detect-format.js";
import { writeRows } from "../rows/write-rows.js";
import { medgptData } from "../testing/run.js";

let hub: HubServer;
let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "medgpt-pull-"));
  hub = await HubServer.start();
  vi.stubEnv("HF_ENDPOINT", hub.url);
  vi.stubEnv("HF_HOME", join(root, "hf"));
  vi.stubEnv("HF_TOKEN", "hf_secret");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await hub.close();
  await rm(root, { recursive: true });
});

const at = (...names: string[]): string => join(root, ...names);
const lines = (...rows: object[]): string => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
async function rowsOf(path: string): Promise<DataRow[]> {
  const rows: DataRow[] = [];
  for await (const { row } of readRows([path])) rows.push(row);
  return rows;
}
async function parquetOf(...rows: DataRow[]): Promise<Buffer> {
  const path = at("made.parquet");
  await writeRows(path, async function* () {
    yield* rows;
  });
  return readFile(path);
}

const asked = (n: number) => ({ instruction: `问${n}`, input: "", output: `答${n}` });
const chat = (n: number) => ({
  conversations: [
    { from: "human", value: `问${n}` },
    { from: "gpt", value: `答${n}` },
  ],
});
const card = {
  about: "A set for tests",
  licence: "unknown",
  homepage: "https://example.org",
  hub: "org/set",
  subsets: {
    default: {
      about: "all of it",
      format: "alpaca",
      columns: { instruction: "text", input: "text", output: "text" },
      splits: { train: ["data/train-*.parquet"], test: ["test.csv"] },
    },
  },
};

describe("medgpt data pull", () => {
  it("fetches a subset of a card's set, shows its licence and seals its splits", async () => {
    const commit = hub.publish("datasets/shibing624/medical", {
      "reward/train.json": lines({ question: "问", response_chosen: "好", response_rejected: "差" }),
      "reward/valid.json": JSON.stringify([{ question: "问2", response_chosen: "好", response_rejected: "差" }]),
      "reward/test.json": lines({ question: "问3", response_chosen: "好", response_rejected: "差" }),
      "finetune/train_zh_0.json": "not fetched",
    });
    const argv = ["pull", "medical", "--subset", "reward", "--splits", "train,validation", "--out", at("out")];
    const { code, stderr, stdout } = await medgptData(...argv);
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^saved 2 rows as preference in .*out$/m) as string,
    });
    expect(stderr).toContain("medical, reward: licence Apache-2.0 (");
    expect(hub.asked(/finetune|test/)).toEqual([]);
    const { manifest } = await openDataset(at("out"), "preference");
    expect(manifest.details.splits).toEqual({
      train: { files: ["train.jsonl"], rows: 1 },
      validation: { files: ["validation.jsonl"], rows: 1 },
    });
    expect(manifest.inputs).toMatchObject([{ kind: "dataset", hub: { id: "shibing624/medical", commit } }]);
    expect(JSON.stringify(manifest)).not.toContain("secret");
    expect(await rowsOf(at("out/train.jsonl"))).toEqual([
      { conversations: [{ from: "human", value: "问" }], chosen: "好", rejected: "差" },
    ]);
  });

  it("reads the .jsonl of HuatuoGPT", async () => {
    const rows = lines({ data: ["问：问1", "答：答1"] }, { data: ["问：问2", "答：答2"] });
    hub.publish("datasets/FreedomIntelligence/HuatuoGPT-sft-data-v1", { "HuatuoGPT_sft_data_v1.jsonl": rows });
    expect((await medgptData("pull", "huatuo-sft", "--out", at("out.parquet"))).code).toBe(0);
    expect(await rowsOf(at("out.parquet"))).toEqual([chat(1), chat(2)]);
  });

  it("takes a card of the user's own: sharded parquet and CSV, in another format", async () => {
    await writeFile(at("card.json"), JSON.stringify(card));
    hub.publish("datasets/org/set", {
      "data/train-00000-of-00002.parquet": await parquetOf(asked(1), asked(2)),
      "data/train-00001-of-00002.parquet": await parquetOf(asked(3)),
      "test.csv": "instruction,input,output\n问4,,答4\n",
    });
    expect((await medgptData("pull", at("card.json"), "--out", at("out"))).code).toBe(0);
    expect(await rowsOf(at("out/train.jsonl"))).toEqual([chat(1), chat(2), chat(3)]);
    expect(await rowsOf(at("out/test.jsonl"))).toEqual([chat(4)]);
    const one = ["--splits", "test", "--to", "alpaca", "--out", at("one.jsonl")];
    expect((await medgptData("pull", at("card.json"), ...one)).code).toBe(0);
    expect(await rowsOf(at("one.jsonl"))).toEqual([asked(4)]);
  });

  it("takes files that are on no hub from their address, without the token", async () => {
    const authorization: unknown[] = [];
    const server: Server = createServer((message, response) => {
      authorization.push(message.headers.authorization);
      response.end(JSON.stringify([asked(1)]));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    const { hub: _, ...other } = card;
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/main/`;
    const subsets = { default: { ...card.subsets.default, splits: { train: ["data.json"] } } };
    await writeFile(at("card.json"), JSON.stringify({ ...other, url, subsets }));
    expect((await medgptData("pull", at("card.json"), "--out", at("out.jsonl"))).code).toBe(0);
    expect(await rowsOf(at("out.jsonl"))).toEqual([chat(1)]);
    expect(authorization).toEqual([undefined]);
    await new Promise((done) => server.close(done));
  });

  it("refuses columns that are not as the card says, naming both, and writes nothing", async () => {
    await writeFile(at("card.json"), JSON.stringify(card));
    hub.publish("datasets/org/set", {
      "data/train-0.parquet": await parquetOf(asked(1), { instruction: "Q", input: "", response: "A" }),
      "test.csv": "instruction,input,output\n",
    });
    const { code, stderr } = await medgptData("pull", at("card.json"), "--out", at("out"));
    expect(code).toBe(2);
    expect(stderr).toContain(
      `data/train-0.parquet:row 2: expected the columns instruction (text), input (text), output (text), as the card of ${at("card.json")} says, got instruction (text), input (text), output (other), response (text)`,
    );
    expect((await readdir(root)).sort()).toEqual(["card.json", "hf", "made.parquet"]);
  });

  it.each<[string[], string]>([
    [["medcal"], 'NAME: no data set "medcal"; did you mean medical?'],
    [["medical"], "--subset: medical has several, and one must be named: pretrain, finetune"],
    [["medical", "--subset", "x"], '--subset: medical has no subset "x"'],
    [["alpaca", "--splits", "dev"], '--splits: alpaca has no split "dev": train'],
    [["none.json"], "none.json: expected the card of a data set, and there is no such file"],
    [["medical", "--subset", "reward", "--out", "x.jsonl"], "expected a folder for the splits train, validation, test"],
  ])("refuses %j", async (argv, message) => {
    hub.publish("datasets/shibing624/medical", {
      "reward/train.json": "",
      "reward/valid.json": "",
      "reward/test.json": "",
    });
    const out = argv.includes("--out") ? [] : ["--out", at("out")];
    const { code, stderr } = await medgptData(
      "pull",
      ...argv.map((word) => (word === "x.jsonl" ? at(word) : word)),
      ...out,
    );
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });

  it.each<[object, string]>([
    [{ ...card, licens: "x" }, 'Unrecognized key: "licens"'],
    [{ ...card, url: "https://example.org" }, "expected one of hub and url"],
    [{ ...card, subsets: { x: { ...card.subsets.default, format: "y" } } }, "subsets.x.format"],
  ])("refuses a card that is not as it has to be", async (wrong, message) => {
    await writeFile(at("card.json"), JSON.stringify(wrong));
    const { code, stderr } = await medgptData("pull", at("card.json"), "--out", at("out"));
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) });
  });
});

describe("medgpt data list", () => {
  it("names every set with its licence, for people and for programs", async () => {
    const { code, stdout } = await medgptData("list");
    expect(code).toBe(0);
    const cards = await listCards();
    expect(cards.map(({ name }) => name)).toEqual([
      "alpaca",
      "alpaca-zh",
      "belle-0.5m",
      "belle-1m",
      "guanaco-belle",
      "huatuo-sft",
      "medical",
    ]);
    for (const { name, licence } of cards)
      expect(stdout).toMatch(new RegExp(`^${name}: .*\n  licence ${licence}`, "m"));
    const { datasets } = JSON.parse((await medgptData("list", "--json")).stdout) as { datasets: unknown };
    expect(datasets).toEqual(cards);
  });

  it("has in each card the columns by which its format is known", async () => {
    for (const { subsets } of await listCards())
      for (const { format, columns } of Object.values(subsets)) {
        const row = Object.fromEntries(
          Object.entries(columns).map(([name, type]) => [name, type === "text" ? "x" : []]),
        );
        expect(detectFormat(row).format.name).toBe(format);
      }
  });
});
