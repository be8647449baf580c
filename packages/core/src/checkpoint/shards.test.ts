import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { goldenDir, goldenModels } from "../testing/goldens.js";
import { writeSafetensors } from "./safetensors.js";
import { openCheckpoint } from "./shards.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-shards-"));
afterAll(() => rmSync(root, { recursive: true }));

const tensor = (name: string) => ({ name, dtype: "f32", shape: [2], data: new Uint8Array(8) }) as const;

/** A folder with shard a.safetensors (a, extra) and b.safetensors (b), and this index. */
async function folder(index: unknown): Promise<string> {
  const dir = mkdtempSync(join(root, "model-"));
  await writeSafetensors(join(dir, "a.safetensors"), [tensor("a"), tensor("extra")]);
  await writeSafetensors(join(dir, "b.safetensors"), [tensor("b")]);
  writeFileSync(join(dir, "model.safetensors.index.json"), typeof index === "string" ? index : JSON.stringify(index));
  return dir;
}

describe("openCheckpoint", () => {
  it("reads what the index lists, across shards", async () => {
    const dir = await folder({ weight_map: { b: "b.safetensors", a: "a.safetensors" } });
    const { tensors, totalBytes, files } = await openCheckpoint(dir);
    expect([...tensors.keys()]).toEqual(["b", "a"]);
    expect(tensors.get("a")!.path).toBe(join(dir, "a.safetensors"));
    expect(totalBytes).toBe(16);
    expect(files).toEqual(["a.safetensors", "b.safetensors"]);
  });

  it("prefers model.safetensors, as transformers does", async () => {
    const dir = await folder({ weight_map: { a: "gone.safetensors" } });
    await writeSafetensors(join(dir, "model.safetensors"), [tensor("whole")]);
    const { tensors, files } = await openCheckpoint(dir);
    expect([...tensors.keys()]).toEqual(["whole"]);
    expect(files).toEqual(["model.safetensors"]);
  });

  it.each([
    [
      "a missing shard",
      { weight_map: { a: "c.safetensors" } },
      /lists the shard c\.safetensors, which is not in the folder/,
    ],
    ["a missing tensor", { weight_map: { x: "a.safetensors" } }, /a\.safetensors holds tensor "x", but it does not/],
    [
      "a path out of the folder",
      { weight_map: { a: "../a.safetensors" } },
      /expected a file name inside the folder for "a"/,
    ],
    ["an absolute path", { weight_map: { a: "/etc/passwd" } }, /expected a file name inside the folder/],
    ["a Windows path", { weight_map: { a: "..\\a" } }, /expected a file name inside the folder/],
    ["the folder itself", { weight_map: { a: ".." } }, /expected a file name inside the folder/],
    ["a file that is no string", { weight_map: { a: 1 } }, /expected a file name inside the folder for "a", got 1/],
    ["no weight_map", {}, /expected a weight_map .*, got nothing/],
    ["an empty weight_map", { weight_map: {} }, /expected a weight_map/],
    ["broken JSON", '{"weight_map": {', /index\.json:1:17: is not valid JSON/],
  ])("refuses an index with %s", async (_, index, message) => {
    const failure = await openCheckpoint(await folder(index)).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(message);
  });

  it("says how to convert a folder that has only pickled weights, and what an empty one lacks", async () => {
    const dir = join(root, "pickled");
    mkdirSync(dir);
    await expect(openCheckpoint(dir)).rejects.toThrow(/expected model\.safetensors or .*, found neither/);
    writeFileSync(join(dir, "pytorch_model.bin"), "");
    await expect(openCheckpoint(dir)).rejects.toThrow(/only pickled weights \(pytorch_model\.bin\).*save_pretrained/);
    await expect(openCheckpoint(join(root, "none"))).rejects.toThrow(
      /none: expected the folder of a Hugging Face model/,
    );
  });

  const sharded = goldenModels("model.safetensors.index.json");
  it.skipIf(sharded.length === 0).each(sharded)("reads a sharded model (%s) as transformers wrote it", async (name) => {
    const dir = goldenDir("A_models", name);
    const { tensors, totalBytes, files } = await openCheckpoint(dir);
    const index = JSON.parse(readFileSync(join(dir, "model.safetensors.index.json"), "utf8")) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    expect(files).toHaveLength(new Set(Object.values(index.weight_map)).size);
    expect(tensors.size).toBe(Object.keys(index.weight_map).length);
    expect(totalBytes).toBe(index.metadata.total_size);
    for (const [name, info] of tensors) expect(info.path).toBe(join(dir, index.weight_map[name]!));
  });
});
