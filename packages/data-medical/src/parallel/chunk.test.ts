import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { cutLines, type Chunk } from "./chunk.js";
import { eachLine } from "./chunk-rows.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-chunk-"));
afterAll(() => rmSync(dir, { recursive: true }));

async function cut(content: string, size: number): Promise<Chunk[]> {
  const path = join(dir, "lines.jsonl");
  writeFileSync(path, content);
  const chunks: Chunk[] = [];
  for await (const chunk of cutLines(path, 0, size)) chunks.push(chunk);
  return chunks;
}

const LINES = ["a", "", "头痛怎么办", "b".repeat(40), "\r", "最后"];

describe("a file", () => {
  it.each([1, 2, 3, 7, 16, 64, 1024])("is cut into whole lines that are numbered, %d bytes at a time", async (size) => {
    for (const end of ["", "\n"]) {
      const content = LINES.join("\n") + end;
      const chunks = await cut(content, size);
      expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).toString()).toBe(content);
      let line = 1;
      for (const chunk of chunks) {
        expect(chunk.line).toBe(line);
        line += Buffer.from(chunk.bytes).toString().split("\n").length - 1;
        if (chunk !== chunks.at(-1)) expect(chunk.bytes.at(-1)).toBe(10);
      }
    }
  });

  it.each([1, 4, 1024])("loses its byte order mark, %d bytes at a time", async (size) => {
    const chunks = await cut("\ufeffa\nb\n", size);
    expect(Buffer.concat(chunks.map(({ bytes }) => bytes)).toString()).toBe("a\nb\n");
    expect(chunks[0]!.line).toBe(1);
  });

  it("that is empty has no chunks", async () => {
    expect(await cut("", 16)).toEqual([]);
  });

  it("that is not there is named", async () => {
    await expect(cutLines(join(dir, "none.jsonl")).next()).rejects.toThrow(
      /none\.jsonl: there is no such file or folder/,
    );
  });
});

it("finds the lines that are not blank", () => {
  const bytes = new TextEncoder().encode("a\n\n \t\r\nbc\r\nd");
  const found: [string, number][] = [];
  eachLine(bytes, (begin, end, line) => found.push([Buffer.from(bytes.subarray(begin, end)).toString(), line]));
  expect(found).toEqual([
    ["a\n", 0],
    ["bc\r\n", 3],
    ["d", 4],
  ]);
});
