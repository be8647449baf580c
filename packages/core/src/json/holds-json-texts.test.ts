import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { hasGoldens, sharedDir } from "../testing/goldens.js";
import { holdsJsonTexts } from "./holds-json-texts.js";

let root: string;
beforeEach(async () => void (root = await mkdtemp(join(tmpdir(), "medgpt-json-texts-"))));
afterEach(() => rm(root, { recursive: true }));

describe("holdsJsonTexts", () => {
  it.each<[string, boolean]>([
    ['{"text":"a"}\n\n{"text":"b","id":1}\r\n', true],
    ['\ufeff[{"text":"a"},\n{"text":"b"}]', true],
    ['{"text":"a"}\nplain\n', false],
    ['{"text":"a"}\n{"title":"b"}\n', false],
    ['{"text":"a"}\n{"text":"cut off', false],
    ["[1] Introduction", false],
    ["{\\rtf1 text", false],
    ["", false],
    ["\n \n", false],
    ['["a","b"]', false],
  ])("says of %j: %s", async (content, expected) => {
    const file = join(root, "x.txt");
    await writeFile(file, content);
    expect(await holdsJsonTexts(file)).toBe(expected);
  });

  it.skipIf(!hasGoldens)("tells notes that are JSON from notes with a line of it", async () => {
    expect(await holdsJsonTexts(join(sharedDir, "cases/19-json-in-txt/all/notes.txt"))).toBe(true);
    expect(await holdsJsonTexts(join(sharedDir, "cases/19-json-in-txt/some/notes.txt"))).toBe(false);
  });
});
