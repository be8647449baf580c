import { mkdtemp, readFile, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { InputError } from "./medgpt-error.js";
import { UNFINISHED_FILE, writeError, writeFileAtomic } from "./write-file-atomic.js";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "medgpt-"));
});
afterEach(() => rm(dir, { recursive: true }));

describe("writeFileAtomic", () => {
  it("replaces the file by another one, so that an open or mapped old file keeps its bytes", async () => {
    const path = join(dir, "a.txt");
    await writeFileAtomic(path, "old");
    const before = await stat(path);
    await writeFileAtomic(path, "new");
    expect(await readFile(path, "utf8")).toBe("new");
    expect((await stat(path)).ino).not.toBe(before.ino);
    expect(await readdir(dir)).toEqual(["a.txt"]);
  });

  it("writes blocks one after the other", async () => {
    async function* blocks() {
      yield Uint8Array.of(1, 2);
      yield Uint8Array.of(3);
    }
    await writeFileAtomic(join(dir, "a.bin"), blocks());
    expect([...(await readFile(join(dir, "a.bin")))]).toEqual([1, 2, 3]);
  });

  it("keeps the old contents and leaves nothing behind when the data fail half way", async () => {
    const path = join(dir, "a.txt");
    await writeFileAtomic(path, "old");
    async function* failing() {
      yield Buffer.from("half");
      throw new Error("disk full");
    }
    await expect(writeFileAtomic(path, failing())).rejects.toThrow("disk full");
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(dir)).toEqual(["a.txt"]);
  });

  it("leaves nothing behind when the name cannot be taken", async () => {
    await expect(writeFileAtomic(join(dir, "missing", "a.txt"), "x")).rejects.toThrow("ENOENT");
    expect(await readdir(dir)).toEqual([]);
  });
});

describe("an unfinished file", () => {
  it("has a name by which it is known when the process is killed", async () => {
    let names: string[] = [];
    async function* blocks() {
      yield Uint8Array.of(1);
      names = await readdir(dir);
    }
    await writeFileAtomic(join(dir, "a.bin"), blocks());
    expect(names).toEqual([expect.stringMatching(UNFINISHED_FILE)]);
    expect(names[0]).toContain("a.bin");
    for (const other of ["a.bin", ".a.tmp", ".a.bin.0123.tmp", "a.0123456789ab.tmp"])
      expect(UNFINISHED_FILE.test(other), other).toBe(false);
  });
});

describe("the error of a write", () => {
  const failure = (code: string): Error => Object.assign(new Error(`${code}: reason, write`), { code });

  it.each([
    ["ENOSPC", "free some space"],
    ["EDQUOT", "free some space"],
    ["EROFS", "give a folder that can be written"],
    ["EACCES", "give a folder that can be written"],
  ])("says what to do about %s", (code, mend) => {
    const error = writeError(failure(code), "/out/x");
    expect(error).toBeInstanceOf(InputError);
    const text = `/out/x: cannot be written (${code}: reason, write): ${mend}; what was complete is left as it was`;
    expect((error as Error).message).toBe(text);
  });

  it("is as it was where the user cannot mend it", () => {
    const error = failure("EIO");
    expect(writeError(error, "/out/x")).toBe(error);
  });
});
