import { execFileSync } from "node:child_process";
import { mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nestsTooDeeply, readJsonText } from "./read-json-text.js";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "medgpt-json-text-"));
});
afterAll(() => rm(dir, { recursive: true }));

describe("readJsonText", () => {
  it("gives the text without its byte order mark, and nothing where there is no file", async () => {
    await writeFile(join(dir, "a.json"), '\uFEFF{"a": "发烧"}');
    expect(await readJsonText(join(dir, "a.json"))).toBe('{"a": "发烧"}');
    expect(await readJsonText(join(dir, "none.json"))).toBeUndefined();
  });

  const refused: [string, string, (path: string) => Promise<unknown>, string][] = [
    ["a folder", ".", () => Promise.resolve(), "expected a file, but this is a folder"],
    [
      "a pipe",
      "pipe.json",
      async (path) => execFileSync("mkfifo", [path]),
      "expected a file, but this is a pipe or device",
    ],
    ["a device", "device.json", (path) => symlink("/dev/zero", path), "expected a file, but this is a pipe or device"],
    [
      "bytes that are not UTF-8",
      "latin.json",
      (path) => writeFile(path, Buffer.of(0x22, 0xe9, 0x22)),
      "expected JSON in UTF-8, but",
    ],
    [
      "what is nested too deeply",
      "deep.json",
      (path) => writeFile(path, "[".repeat(201)),
      "expected JSON of at most 200 levels",
    ],
    [
      "what is too large",
      "large.json",
      async (path) => {
        await writeFile(path, "");
        await truncate(path, 2 ** 40);
      },
      "expected a JSON file of at most 67108864 bytes, but it has 1099511627776",
    ],
  ];
  it.each(refused)("refuses %s, naming the file", async (_, name, make, message) => {
    const path = join(dir, name);
    await make(path);
    await expect(readJsonText(path)).rejects.toThrow(`${path}: ${message}`);
  });
});

describe("nestsTooDeeply", () => {
  it("counts the brackets that are open at once, outside of strings", () => {
    expect(nestsTooDeeply("[".repeat(200))).toBe(false);
    expect(nestsTooDeeply("[".repeat(100) + '{"a":'.repeat(101))).toBe(true);
    expect(nestsTooDeeply("[],".repeat(1000))).toBe(false);
    expect(nestsTooDeeply(`"${'\\"['.repeat(1000)}"`)).toBe(false);
    expect(nestsTooDeeply(`["a\\\\", ${"[".repeat(200)}`)).toBe(true);
  });
});
