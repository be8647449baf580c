import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { mapInOrder } from "./map-in-order.js";
import { readChunks } from "./read-chunks.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-map-"));
afterAll(() => rmSync(dir, { recursive: true }));

function write(name: string, lines: readonly string[]): string {
  const path = join(dir, name);
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  return path;
}

const rows = Array.from({ length: 500 }, (_, i) => JSON.stringify({ text: `第${i}行`.repeat(1 + (i % 7)) }));
const good = write("good.jsonl", rows);
const bad = write("bad.jsonl", rows.with(50, '{"text": }').with(450, '{"text": 1}').with(120, "[1]"));

async function collect(file: string, threads: number, signal?: AbortSignal): Promise<unknown[]> {
  const options = { from: null, by: "row", near: true, seed: 1 } as const;
  const results: unknown[] = [];
  for await (const result of mapInOrder(readChunks([file], 1 << 10), "dedup", options, { threads, signal })) {
    results.push({ ...result, bytes: Buffer.from(result.bytes).toString() });
  }
  return results;
}

describe("a task on several threads", () => {
  it("gives the same results in the same order as on one", async () => {
    const one = await collect(good, 1);
    expect(one.length).toBeGreaterThan(10);
    expect(await collect(good, 2)).toEqual(one);
  });

  it("fails at the first row that is refused, with its place", async () => {
    for (const threads of [1, 2]) {
      const failure = await collect(bad, threads).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InputError);
      expect((failure as InputError).place).toBe(`${bad}:51:10`);
      expect((failure as InputError).message).toMatch(/^\S+bad\.jsonl:51:10: expected a JSON object, got } here/);
    }
  });

  it("fails as one thread does where the task cannot begin", async () => {
    const count = async (threads: number): Promise<unknown> => {
      const options = { from: null, tokenizer_name_or_path: join(dir, "no-tokenizer") };
      return mapInOrder(readChunks([good]), "stats", options, { threads })
        .next()
        .catch(({ message, userError }: InputError) => ({ message, userError }));
    };
    const one = await count(1);
    expect(one).toMatchObject({ userError: true });
    expect(await count(2)).toEqual(one);
  });

  it("stops when it is told to", async () => {
    for (const threads of [1, 2]) {
      const controller = new AbortController();
      const options = { threads, signal: controller.signal };
      const results = mapInOrder(readChunks([good], 1 << 10), "check", { from: null }, options);
      expect((await results.next()).done).toBe(false);
      controller.abort();
      await expect(results.next()).rejects.toThrow(expect.objectContaining({ name: "AbortError" }));
    }
  });
});
