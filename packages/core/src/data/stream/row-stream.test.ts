import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@medgpt/artifacts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer } from "../../tokenizer/load-tokenizer.js";
import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { firstRows } from "./first-rows.js";
import { packBlocks, packNeatly, padBlocks, type Rows } from "../packing/packing.js";
import { readDocuments } from "../files/read-documents.js";
import type { Packing, Sequences } from "../packing/row-packer.js";
import { streamRows, type RowStreamOptions } from "./row-stream.js";
import { documentsInMemory, sliceDocuments, type TokenDocuments } from "../tokens/token-documents.js";

const dir = mkdtempSync(join(tmpdir(), "medgpt-stream-"));
const files = ["a.txt", "b.jsonl", "c.json"].map((name) => join(dir, name));
let tokenizer: Tokenizer;
let documents: TokenDocuments;
beforeAll(async () => {
  tokenizer = await loadTokenizer(fileURLToPath(new URL("../../../../../datasets/sample/tokenizer", import.meta.url)));
  const lines = (name: string, count: number): string[] =>
    Array.from({ length: count }, (_, i) => `${name} ${"word ".repeat((7 * i) % 23)}${i}`);
  writeFileSync(files[0]!, lines("first", 30).join("\n"));
  writeFileSync(
    files[1]!,
    lines("second", 20)
      .map((text) => JSON.stringify({ text }))
      .join("\n"),
  );
  writeFileSync(files[2]!, JSON.stringify(lines("third", 9).map((text) => ({ text }))));
  const ids: Int32Array[] = [];
  for await (const { text } of readDocuments(files, { keepLinebreaks: true })) ids.push(tokenizer.encode(text));
  documents = documentsInMemory(ids);
});
afterAll(() => rmSync(dir, { recursive: true }));

const atOnce = { blocks: packBlocks, neat: packNeatly, none: padBlocks };
const options = (changes: Partial<RowStreamOptions> = {}): RowStreamOptions => ({
  packing: "blocks",
  blockSize: 24,
  eosId: tokenizer.eosId!,
  keepLinebreaks: true,
  seed: 42,
  bufferSize: 1,
  ...changes,
});

const plain = (rows: readonly Sequences[]): number[][][] => rows.map((row) => row.map((ids) => [...ids]));
async function sequences(rows: Rows): Promise<number[][][]> {
  const all = [];
  for (let row = 0; row < rows.count; row++) all.push(await rows.readSequences(row));
  return plain(all);
}

/** The rows of a pass, taken `size` at a time. */
async function takePass(stream: Awaited<ReturnType<typeof streamRows>>, size: number, pass: number) {
  const rows: Sequences[] = [];
  for (;;) {
    const taken = await stream.take(size);
    expect(taken.pass).toBe(pass);
    if (!taken.endsPass) expect(taken.rows.length).toBe(size);
    expect(taken.rows.length).toBeGreaterThan(0);
    rows.push(...taken.rows);
    if (taken.endsPass) return plain(rows);
  }
}

describe("streamRows", () => {
  it.each<[Packing, number]>([
    ["blocks", 24],
    ["blocks", 100_000],
    ["neat", 24],
    ["neat", 6],
    ["none", 12],
  ])(
    "gives in the order of the files the rows that packing %s into %i gives all at once",
    async (packing, blockSize) => {
      const expected = await sequences(atOnce[packing](documents, options({ packing, blockSize })));
      for (const size of [1, 3, 1000]) {
        const stream = await streamRows(files, tokenizer, options({ packing, blockSize }));
        expect(await takePass(stream, size, 0)).toEqual(expected);
        expect(await takePass(stream, size, 1)).toEqual(expected);
        await stream.close();
      }
    },
  );

  it("shuffles each pass anew, and the same again with the same seed", async () => {
    const shuffled = { packing: "none", bufferSize: 20 } as const;
    const stream = await streamRows(files, tokenizer, options(shuffled));
    const passes = [await takePass(stream, 4, 0), await takePass(stream, 4, 1)];
    await stream.close();
    const again = await streamRows(files, tokenizer, options(shuffled));
    expect(await takePass(again, 4, 0)).toEqual(passes[0]);
    await again.close();
    const inOrder = await sequences(padBlocks(documents, options()));
    const sorted = (rows: number[][][]): string[] => rows.map((row) => row.join()).sort();
    for (const pass of passes) {
      expect(pass).not.toEqual(inOrder);
      expect(sorted(pass)).toEqual(sorted(inOrder));
    }
    expect(passes[0]).not.toEqual(passes[1]);
    const other = await streamRows(files, tokenizer, options({ ...shuffled, seed: 43 }));
    expect(await takePass(other, 4, 0)).not.toEqual(passes[0]);
    await other.close();
  });

  it.each<Packing>(["blocks", "neat", "none"])(
    "goes on from the place after any batch to the same rows, packing %s",
    async (packing) => {
      const settings = options({ packing, bufferSize: 7 });
      const stream = await streamRows(files, tokenizer, settings);
      const places: unknown[] = [];
      const taken: unknown[] = [];
      for (let ends = 0; ends < 2;) {
        places.push(JSON.parse(JSON.stringify(stream.state())));
        const { rows, pass, endsPass } = await stream.take(3);
        taken.push([plain(rows), pass, endsPass]);
        if (endsPass) ends++;
      }
      await stream.close();
      for (let batch = 0; batch < places.length; batch++) {
        const again = await streamRows(files, tokenizer, settings);
        await again.restore(places[batch]);
        expect(again.state()).toEqual(places[batch]);
        for (const expected of taken.slice(batch, batch + 4)) {
          const { rows, pass, endsPass } = await again.take(3);
          expect([plain(rows), pass, endsPass]).toEqual(expected);
        }
        await again.close();
      }
    },
  );

  it("ends a pass after maxRows", async () => {
    const stream = await streamRows(files, tokenizer, options({ maxRows: 5 }));
    const expected = (await sequences(packBlocks(documents, options()))).slice(0, 5);
    expect(await takePass(stream, 2, 0)).toEqual(expected);
    expect(await takePass(stream, 5, 1)).toEqual(expected);
    await stream.close();
  });

  it("refuses a place that is of other files or settings, or none", async () => {
    const stream = await streamRows(files, tokenizer, options());
    await stream.take(1);
    const state = stream.state();
    await stream.close();
    const other = await streamRows(files.slice(1), tokenizer, options());
    await expect(other.restore(state)).rejects.toThrow(/was saved with other data or other settings of the data/);
    const blocks = await streamRows(files, tokenizer, options({ blockSize: 25 }));
    await expect(blocks.restore(state)).rejects.toBeInstanceOf(InputError);
    await expect(blocks.restore({ ...(state as object), open: "x" })).rejects.toThrow(
      "its place in the data is damaged; take an earlier checkpoint",
    );
    const same = await streamRows(files, tokenizer, options());
    await expect(same.restore({ ...(state as object), given: 1e6 })).rejects.toThrow(/behind the end of the data/);
    await same.close();
  });

  it("refuses text without a document, and says where text is malformed", async () => {
    const [empty, bad] = [join(dir, "empty.txt"), join(dir, "bad.jsonl")];
    writeFileSync(empty, "\n\n");
    writeFileSync(bad, '{"text": "one"}\n{"text": 2}\n');
    const none = await streamRows([empty], tokenizer, options());
    await expect(none.take(1)).rejects.toThrow(`${empty}: expected text to train on, but there is none`);
    await none.close();
    const broken = await streamRows([bad], tokenizer, options());
    await expect(broken.take(1)).rejects.toThrow(`${bad}:2:1: expected a JSON object with a string "text"`);
    await broken.close();
  });
});

describe("firstRows", () => {
  it.each<Packing>(["blocks", "neat", "none"])(
    "takes the first rows and tells where the text goes on, packing %s",
    async (packing) => {
      const expected = await sequences(atOnce[packing](documents, options({ packing })));
      for (const count of [1, 4, 11]) {
        const { rows, next } = await firstRows(files, tokenizer, { ...options({ packing }), count });
        expect(await sequences(rows)).toEqual(expected.slice(0, count));
        // What goes on there is the rest of the documents.
        let left = 0;
        for await (const document of readDocuments(files, { keepLinebreaks: true, from: next }))
          left += document.text.length > 0 ? 1 : 0;
        const stream = await streamRows(files, tokenizer, options({ packing: "none", from: next }));
        const tail = sliceDocuments(documents, 59 - left, 59);
        expect(await takePass(stream, 5, 0)).toEqual(await sequences(padBlocks(tail, options())));
        await stream.close();
      }
    },
  );

  it("takes all where there is less", async () => {
    const { rows, next } = await firstRows(files, tokenizer, { ...options(), count: 1e6 });
    expect(await sequences(rows)).toEqual(await sequences(packBlocks(documents, options())));
    expect(next).toBeUndefined();
  });
});
