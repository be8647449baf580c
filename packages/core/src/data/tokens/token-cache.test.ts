import { spawnSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@medgpt/artifacts";
import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { loadTokenizer } from "../../tokenizer/load-tokenizer.js";
import type { RunEvent } from "../../run/run-context.js";
import { listTextFiles } from "../files/list-text-files.js";
import { readDocuments } from "../files/read-documents.js";
import { tokenizeFiles, type TokenCache, type TokenizeFilesOptions } from "./token-cache.js";
import { readDocument } from "./token-documents.js";

const sample = fileURLToPath(new URL("../../../../../datasets/sample", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "medgpt-token-cache-"));
afterAll(() => rmSync(root, { recursive: true }));

const tokenizer = await loadTokenizer(join(sample, "tokenizer"));
let dir: string;
let cacheDir: string;
let events: RunEvent[];
beforeEach(() => {
  dir = mkdtempSync(join(root, "texts-"));
  cacheDir = join(dir, "cache");
  events = [];
  writeFileSync(join(dir, "a.txt"), "fever\n\ncough and fever\n");
  writeFileSync(join(dir, "b.jsonl"), '{"text": "发热"}\n');
});

const run = (options: Partial<TokenizeFilesOptions> = {}, signal?: AbortSignal): Promise<TokenCache> =>
  tokenizeFiles(
    [join(dir, "a.txt"), join(dir, "b.jsonl")],
    tokenizer,
    { keepLinebreaks: true, cacheDir, ...options },
    { log: (event) => events.push(event), ...(signal && { signal }) },
  );

async function texts(cache: TokenCache): Promise<string[]> {
  const documents = await Promise.all(Array.from({ length: cache.documents }, (_, i) => readDocument(cache, i)));
  return documents.map((ids) => tokenizer.decode(ids));
}

describe("tokenizeFiles", () => {
  it("tokenises once, then reads the ids back", async () => {
    const made = await run();
    expect(made).toMatchObject({ documents: 3, counts: { skippedBlank: 1 }, reused: false });
    expect(await texts(made)).toEqual(["fever\n", "cough and fever\n", "发热"]);
    const all = await made.readTokens(0, made.tokens);
    expect([...all]).toEqual(["fever\n", "cough and fever\n", "发热"].flatMap((text) => [...tokenizer.encode(text)]));
    const again = await run();
    expect(again).toMatchObject({ documents: 3, counts: { skippedBlank: 1 }, reused: true, folder: made.folder });
    expect(await again.readTokens(0, again.tokens)).toEqual(all);
    expect(readdirSync(cacheDir)).toHaveLength(1);
    await Promise.all([made.close(), again.close()]);
  });

  it("counts the documents with special tokens in their text, not those that the tokenizer adds", async () => {
    const [token] = [...tokenizer.specialTokens.keys()];
    writeFileSync(join(dir, "a.txt"), `fever\n${token}\nrest ${token} and ${token}\n`);
    const made = await run();
    expect(made.counts).toMatchObject({ withSpecial: 2 });
    await made.close();
  });

  it("says nothing of what is done at once", async () => {
    await (await run()).close();
    expect(events).toEqual([]);
  });

  it("reports its progress in bytes up to the end", async () => {
    let now = 0;
    const clock = vi.spyOn(performance, "now").mockImplementation(() => (now += 1000));
    await (await run()).close();
    clock.mockRestore();
    const total = statSync(join(dir, "a.txt")).size + statSync(join(dir, "b.jsonl")).size;
    for (const task of ["looking for cached tokens", "tokenising"]) {
      const progress = events.filter((event) => event.type === "progress" && event.task === task);
      expect(progress.at(-1)).toEqual({ type: "progress", task, done: total, total, unit: "bytes" });
    }
  });

  it("notices an edit that keeps size and time, and other options, but not another folder name", async () => {
    const made = await run();
    const { atime, mtime } = statSync(join(dir, "a.txt"));
    writeFileSync(join(dir, "a.txt"), "fevex\n\ncough and fever\n");
    utimesSync(join(dir, "a.txt"), atime, mtime);
    const edited = await run();
    expect(edited.reused).toBe(false);
    expect((await texts(edited))[0]).toBe("fevex\n");
    const stripped = await run({ keepLinebreaks: false });
    expect((await texts(stripped))[0]).toBe("fevex");
    const before = dir;
    dir = join(root, "copy");
    mkdirSync(dir);
    writeFileSync(join(dir, "a.txt"), "fevex\n\ncough and fever\n");
    writeFileSync(join(dir, "b.jsonl"), '{"text": "发热"}\n');
    const moved = await run({ cacheDir: join(before, "cache") });
    expect(moved).toMatchObject({ reused: true, folder: edited.folder });
    await Promise.all([made, edited, stripped, moved].map((cache) => cache.close()));
  });

  it("tokenises again when told to, while an open cache stays readable", async () => {
    const made = await run();
    const again = await run({ overwriteCache: true });
    expect(again).toMatchObject({ reused: false, folder: made.folder });
    expect(await texts(made)).toEqual(await texts(again));
    await Promise.all([made.close(), again.close()]);
  });

  it.each([
    ["tokens cut off", (folder: string) => truncateSync(join(folder, "tokens.bin"), 4)],
    ["offsets cut off", (folder: string) => truncateSync(join(folder, "offsets.bin"), 8)],
    [
      "offsets out of order",
      (folder: string) =>
        writeFileSync(join(folder, "offsets.bin"), new Uint8Array(Float64Array.of(0, 9, 1, 5).buffer)),
    ],
    ["broken meta.json", (folder: string) => writeFileSync(join(folder, "meta.json"), "{")],
    ["no meta.json", (folder: string) => rmSync(join(folder, "meta.json"))],
  ])("makes a cache with %s anew", async (_, damage) => {
    const made = await run();
    const expected = await texts(made);
    await made.close();
    damage(made.folder);
    const again = await run();
    expect(again).toMatchObject({ reused: false, folder: made.folder, documents: 3 });
    expect(await texts(again)).toEqual(expected);
    await again.close();
  });

  it("leaves nothing behind when the text is malformed, blank, or the run is stopped", async () => {
    const stop = new AbortController();
    stop.abort(new Error("stopped"));
    await expect(run({}, stop.signal)).rejects.toThrow("stopped");
    writeFileSync(join(dir, "b.jsonl"), "{\n");
    await expect(run()).rejects.toThrow(/b\.jsonl:1:2: expected a JSON object/);
    writeFileSync(join(dir, "a.txt"), "\n\n");
    writeFileSync(join(dir, "b.jsonl"), "\n");
    const failure = await run().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toMatch(
      /a\.txt: expected text, but there is none in any of the 2 files: 3 blank lines/,
    );
    expect(readdirSync(cacheDir)).toEqual([]);
  });

  it("removes what a process that is gone left half tokenised, and nothing else", async () => {
    const gone = spawnSync(process.execPath, ["--eval", ""]).pid;
    const key = "0123456789abcdef0123456789abcdef";
    const [dead, running, elsewhere] = [
      `.${key}.partial-${gone}-${hostname()}`,
      `.${key}.partial-${process.ppid}-${hostname()}`,
      `.${key}.partial-${gone}-another-machine`,
    ];
    for (const name of [dead, running, elsewhere, key]) mkdirSync(join(cacheDir, name), { recursive: true });
    const cache = await run();
    expect(readdirSync(cacheDir).sort()).toEqual([running, elsewhere, key, basename(cache.folder)].sort());
    await cache.close();
  });

  it("says so when the cache folder cannot be made", async () => {
    writeFileSync(join(dir, "occupied"), "");
    await expect(run({ cacheDir: join(dir, "occupied", "x") })).rejects.toThrow(
      /the token cache cannot be written .*--cache_dir/,
    );
  });

  it("tokenises the sample texts, each document as the tokenizer alone does", async () => {
    const { files } = await listTextFiles(join(sample, "pretrain"));
    const cache = await tokenizeFiles(files, tokenizer, { keepLinebreaks: true, cacheDir }, { log: () => {} });
    expect(cache.documents).toBeGreaterThanOrEqual(300);
    let i = 0;
    for await (const { text } of readDocuments(files, { keepLinebreaks: true })) {
      expect(await readDocument(cache, i)).toEqual(tokenizer.encode(text));
      expect(tokenizer.decode(await readDocument(cache, i++))).toBe(text);
    }
    expect(i).toBe(cache.documents);
    await cache.close();
  });
});
