import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, goldenModels } from "../testing/goldens.js";
import { openSafetensors, readTensorData } from "./safetensors.js";
import { openCheckpoint } from "./shards.js";
import { parseShardSize, splitIntoShards, writeCheckpoint } from "./write-checkpoint.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-write-"));
afterAll(() => rmSync(root, { recursive: true }));

const bytes = (size: number) => ({ dtype: "u8", shape: [size] }) as const;
const sizes = (shards: readonly (readonly { shape: readonly number[] }[])[]) =>
  shards.map((shard) => shard.map(({ shape }) => shape[0]));

describe("the split into shards", () => {
  it.each([
    // The example of huggingface_hub's docstring: nothing is rearranged to fill a shard.
    [10, [6, 6, 2, 6, 2, 2], [[6], [6, 2], [6, 2, 2]]],
    [10, [10, 1], [[10], [1]]],
    [10, [4, 6, 1], [[4, 6], [1]]],
    // A tensor beyond the limit stands alone, and the shard that was being filled goes on after it.
    [10, [3, 11, 4], [[11], [3, 4]]],
    [10, [11], [[11]]],
    [100, [3, 11, 4], [[3, 11, 4]]],
  ])("at %i of %j", (limit, tensors, expected) => {
    expect(sizes(splitIntoShards(tensors.map(bytes), limit))).toEqual(expected);
  });
});

describe("a shard size", () => {
  it.each([
    ["5GB", 5e9],
    ["1.5gb", 1.5e9],
    [" 300 KB ", 3e5],
    ["2TB", 2e12],
    ["123456", 123_456],
  ])("%j is %i bytes", (text, expected) => {
    expect(parseShardSize(text)).toBe(expected);
  });

  it.each(["5GiB", "GB", "-5GB", "0MB", "many", ""])("is not %j", (text) => {
    expect(() => parseShardSize(text)).toThrow(
      `expected a size such as 5GB, 500MB or a number of bytes, got ${JSON.stringify(text)}`,
    );
  });
});

describe("writeCheckpoint", () => {
  const tensors = ["b", "a", "c"].map((name, index) => ({
    name,
    dtype: "f32" as const,
    shape: [2],
    data: async function* () {
      for (const value of [index, index + 0.5]) yield new Uint8Array(Float32Array.of(value).buffer);
    },
  }));

  it("writes one file within the limit, and shards with an index beyond it", async () => {
    const [one, two] = [mkdtempSync(join(root, "one-")), mkdtempSync(join(root, "two-"))];
    expect(await writeCheckpoint(one, tensors, 24)).toEqual(["model.safetensors"]);
    expect(readdirSync(one)).toEqual(["model.safetensors"]);
    const names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    expect(await writeCheckpoint(two, tensors, 16)).toEqual([...names, "model.safetensors.index.json"]);
    expect(JSON.parse(readFileSync(join(two, "model.safetensors.index.json"), "utf8"))).toEqual({
      metadata: { total_parameters: 6, total_size: 24 },
      weight_map: { a: names[0], b: names[0], c: names[1] },
    });
    for (const dir of [one, two]) {
      const read = (await openCheckpoint(dir)).tensors;
      for (const [index, name] of ["b", "a", "c"].entries())
        expect([...(await readTensorData(read.get(name)!))]).toEqual([index, index + 0.5]);
    }
  });

  it("refuses blocks that do not add up to their tensor", async () => {
    const short = { ...tensors[0]!, shape: [3] };
    await expect(writeCheckpoint(root, [short], 100)).rejects.toThrow('tensor "b" (f32 [3]) takes 12 bytes, got 8');
    expect(readdirSync(root).filter((name) => name.includes("safetensors"))).toEqual([]);
  });

  const sharded = goldenModels("model.safetensors.index.json");
  it.skipIf(sharded.length === 0).each(sharded)(
    "gives the bytes of a sharded model (%s) that transformers wrote",
    async (name) => {
      const golden = goldenDir("A_models", name);
      const index = JSON.parse(readFileSync(join(golden, "model.safetensors.index.json"), "utf8")) as {
        weight_map: Record<string, string>;
      };
      const { tensors: stored } = await openCheckpoint(golden);
      // The order within a shard is the file's own; the limit is what the first shard takes.
      const ordered = [...stored.values()].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
      const first = ordered.filter(({ path }) => path === ordered[0]!.path);
      const copies = ordered.map((info) => ({
        name: info.name,
        dtype: "f32" as const,
        shape: info.shape,
        data: async () => new Uint8Array((await readTensorData(info)).buffer),
      }));
      const dir = mkdtempSync(join(root, "golden-"));
      const limit = first.reduce((sum, { size }) => sum + 4 * size, 0);
      const files = await writeCheckpoint(dir, copies, limit);
      expect(files).toHaveLength(1 + new Set(Object.values(index.weight_map)).size);
      for (const file of files)
        expect(readFileSync(join(dir, file)).equals(readFileSync(join(golden, file))), file).toBe(true);
      expect(Object.keys(index.weight_map)).toHaveLength(stored.size);
      expect((await openSafetensors(join(dir, files[0]!))).metadata).toEqual({ format: "pt" });
    },
  );
});
