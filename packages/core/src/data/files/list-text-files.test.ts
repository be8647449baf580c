import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { afterAll, describe, expect, it } from "vitest";
import { listTextFiles } from "./list-text-files.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-list-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("listTextFiles", () => {
  it("finds text files at any depth in byte order, counts the rest, and leaves hidden files and manifests out", async () => {
    const dir = join(root, "texts");
    mkdirSync(join(dir, "b/c"), { recursive: true });
    mkdirSync(join(dir, ".cache"));
    const names = [
      "b/z.txt",
      "b/c/y.jsonl",
      "b/c/x.json",
      "b/w.parquet",
      "b/medgpt.json",
      "é.txt",
      "a.txt",
      "Z.txt",
      "b.txt",
      "notes.md",
      "a.TXT",
      ".hidden.txt",
      ".cache/x.txt",
    ];
    for (const name of names) writeFileSync(join(dir, name), "x");
    const { files, ignored } = await listTextFiles(dir);
    expect(files).toEqual(
      ["Z.txt", "a.txt", "b.txt", "b/c/x.json", "b/c/y.jsonl", "b/w.parquet", "b/z.txt", "é.txt"].map((name) =>
        join(dir, name),
      ),
    );
    expect(ignored).toBe(3);
  });

  it("follows links without going round in circles", async () => {
    const dir = join(root, "linked");
    const other = join(root, "other");
    mkdirSync(join(dir, "sub"), { recursive: true });
    mkdirSync(other);
    writeFileSync(join(dir, "sub/a.txt"), "x");
    writeFileSync(join(other, "b.txt"), "x");
    symlinkSync(dir, join(dir, "sub/up"));
    symlinkSync(other, join(dir, "away"));
    symlinkSync(join(other, "b.txt"), join(dir, "c.txt"));
    const { files } = await listTextFiles(dir);
    expect(files).toEqual(["away/b.txt", "c.txt", "sub/a.txt"].map((name) => join(dir, name)));
  });

  it("says what it expected of a folder that is missing, empty, a file, or without text", async () => {
    const dir = join(root, "empty");
    mkdirSync(dir);
    const refusal = async (path: string): Promise<string> => {
      const failure = await listTextFiles(path).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InputError);
      return (failure as Error).message;
    };
    expect(await refusal(join(root, "none"))).toBe(
      `${join(root, "none")}: expected a folder with .txt, .jsonl, .json or .parquet files, but there is no such folder`,
    );
    expect(await refusal(dir)).toBe(
      `${dir}: expected a folder with .txt, .jsonl, .json or .parquet files, but it is empty`,
    );
    writeFileSync(join(dir, "x.csv"), "");
    expect(await refusal(dir)).toBe(
      `${dir}: expected a folder with .txt, .jsonl, .json or .parquet files, but it has only 1 other file; tables are read by medgpt data convert ${dir} --to text --out data/text.jsonl`,
    );
    const forChats = await listTextFiles(dir, [".jsonl", ".json"]).catch((error: unknown) => String(error));
    expect(forChats).toContain(`medgpt data convert ${dir} --to sharegpt --out data/train.jsonl`);
    expect(await refusal(join(dir, "x.csv"))).toMatch(/but this is a file$/);
    symlinkSync(join(dir, "gone"), join(dir, "broken.txt"));
    expect(await refusal(dir)).toMatch(/broken\.txt: is a link to nothing/);
  });
});
