import { InputError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readCase } from "../../testing/goldens.js";
import { loadTokenizer } from "../../tokenizer/load-tokenizer.js";
import { packBlocks, packNeatly, padBlocks, type Rows } from "./packing.js";
import { documentsInMemory, sliceDocuments } from "../tokens/token-documents.js";

const readAll = (rows: Rows): Promise<number[][]> =>
  Promise.all(Array.from({ length: rows.count }, async (_, i) => [...(await rows.read(i))]));

interface Golden {
  texts: string[];
  results: Record<string, { input_ids: number[][]; attention_mask: number[][] }>;
}

const goldens = goldenCases("C_training", "texts", "results").flatMap((folder) => {
  const golden = readCase<Golden>(goldenDir("C_training", folder));
  const models = new Set(Object.keys(golden.results).map((name) => name.split("/")[0]!));
  return [...models].map((model) => ({ model, golden }));
});

describe.each(goldens)("$model", ({ model, golden }) => {
  const load = async (texts: string[]) => {
    const tokenizer = await loadTokenizer(goldenDir("A_models", model), { engine: "js" });
    return { documents: documentsInMemory(await tokenizer.encodeBatch(texts)), eosId: tokenizer.eosId! };
  };

  it.each([64, 100_000])(
    "packs into blocks of %i as MedicalGPT does for fewer than 1,000 documents",
    async (blockSize) => {
      const { documents, eosId } = await load(golden.texts);
      const expected = golden.results[`${model}/block${blockSize}/map1000`]!.input_ids;
      const rows = packBlocks(documents, { blockSize, eosId });
      expect(await readAll(rows)).toEqual(expected);
      expect(rows.tokens).toBe(expected.flat().length);
    },
  );

  it("carries on the remainder that MedicalGPT drops at the end of each batch of documents", async () => {
    const { documents, eosId } = await load(golden.texts);
    const blockSize = 100_000; // every batch of 16 becomes one short block there, so nothing is dropped
    const [whole] = await readAll(packBlocks(documents, { blockSize, eosId }));
    expect(golden.results[`${model}/block100000/map16`]!.input_ids.flat()).toEqual(whole);
    // With blocks of 64 each batch of 16 loses its remainder; ours is the same text cut without loss.
    const batches = golden.results[`${model}/block64/map16`]!.input_ids;
    const ours = packBlocks(documents, { blockSize: 64, eosId });
    expect(ours.droppedTokens).toBe(whole!.length % 64);
    expect((await readAll(ours)).flat()).toEqual(whole!.slice(0, ours.tokens));
    expect(await readAll(ours)).not.toEqual(batches);
    const firstBatch = packBlocks(sliceDocuments(documents, 0, 16), { blockSize: 64, eosId });
    expect(await readAll(firstBatch)).toEqual(batches.slice(0, firstBatch.count));
  });

  it("without packing gives the reference's real positions", async () => {
    const expected = golden.results[`${model}/no_packing_block16`]!;
    const { documents } = await load(golden.texts.slice(0, 6));
    const real = expected.input_ids.map((row, i) => row.filter((_, j) => expected.attention_mask[i]![j] === 1));
    expect(await readAll(padBlocks(documents, { blockSize: 16 }))).toEqual(real);
  });
});

describe("packBlocks", () => {
  const EOS = 9;
  const make = (lengths: number[]): number[][] =>
    lengths.map((length, i) => Array.from({ length }, (_, j) => 100 * (i + 1) + j));

  it.each([
    [[3, 0, 5, 1, 0, 0, 12, 2], 1],
    [[3, 0, 5, 1, 0, 0, 12, 2], 2],
    [[3, 0, 5, 1, 0, 0, 12, 2], 3],
    [[3, 0, 5, 1, 0, 0, 12, 2], 4],
    [[3, 0, 5, 1, 0, 0, 12, 2], 31],
    [[3, 0, 5, 1, 0, 0, 12, 2], 32],
    [[0, 0, 0], 2],
    [[7], 8],
    [[7], 4],
  ])("cuts documents of %j tokens into blocks of %i as the joined text", async (lengths, blockSize) => {
    const ids = make(lengths);
    const joined = ids.flatMap((document) => [...document, EOS]);
    const expected: number[][] = [];
    for (let i = 0; i + blockSize <= joined.length; i += blockSize) expected.push(joined.slice(i, i + blockSize));
    if (expected.length === 0) expected.push(joined);
    const rows = packBlocks(documentsInMemory(ids), { blockSize, eosId: EOS });
    expect(await readAll(rows)).toEqual(expected);
    expect(rows.droppedTokens).toBe(joined.length - expected.flat().length);
  });

  it("knows how many tokens its longest rows have", () => {
    const documents = documentsInMemory(make([3, 0, 5, 1, 12]));
    const options = { blockSize: 6, eosId: EOS };
    expect([0, 1, 2, 9].map((count) => padBlocks(documents, options).longest(count))).toEqual([0, 6, 11, 15]);
    expect([1, 4, 9].map((count) => packBlocks(documents, options).longest(count))).toEqual([6, 24, 24]);
    expect([1, 9].map((count) => packNeatly(documents, options).longest(count))).toEqual([6, 26]);
  });

  it("ends a document that ends with the end-of-text token all the same", async () => {
    expect(await readAll(packBlocks(documentsInMemory([[1, EOS], [2]]), { blockSize: 5, eosId: EOS }))).toEqual([
      [1, EOS, EOS, 2, EOS],
    ]);
  });

  it("packs a slice of the documents as if they were all", async () => {
    const ids = make([3, 4, 5, 6, 2]);
    const slice = packBlocks(sliceDocuments(documentsInMemory(ids), 1, 4), { blockSize: 4, eosId: EOS });
    expect(await readAll(slice)).toEqual(
      await readAll(packBlocks(documentsInMemory(ids.slice(1, 4)), { blockSize: 4, eosId: EOS })),
    );
  });

  it("gives nothing for no documents and refuses rows and block sizes that are none", async () => {
    const rows = packBlocks(documentsInMemory([]), { blockSize: 4, eosId: EOS });
    expect(rows).toMatchObject({ count: 0, tokens: 0, droppedTokens: 0 });
    await expect(rows.read(0)).rejects.toThrow("row 0 was asked for, but there are 0");
    expect(() => packBlocks(documentsInMemory([]), { blockSize: 0, eosId: EOS })).toThrow(InputError);
    expect(() => padBlocks(documentsInMemory([]), { blockSize: 1.5 })).toThrow(
      "expected block_size to be a positive integer, got 1.5",
    );
  });
});

describe("packNeatly", () => {
  const EOS = 9;
  const sequences = async (rows: Rows): Promise<number[][][]> => {
    const all = [];
    for (let row = 0; row < rows.count; row++) all.push((await rows.readSequences(row)).map((ids) => [...ids]));
    return all;
  };

  it.each([
    [
      "documents that fit together",
      [[1, 2], [3], [4]],
      8,
      [
        [
          [1, 2, 9],
          [3, 9],
          [4, 9],
        ],
      ],
    ],
    [
      "a document that does not fit into the rest",
      [[1, 2], [3, 4, 5], [6]],
      6,
      [
        [[1, 2, 9]],
        [
          [3, 4, 5, 9],
          [6, 9],
        ],
      ],
    ],
    [
      "documents that fill a row",
      [[1], [2], [3]],
      4,
      [
        [
          [1, 9],
          [2, 9],
        ],
        [[3, 9]],
      ],
    ],
    [
      "a document that is longer than a row",
      [[1], [2, 3, 4, 5, 6], [7]],
      4,
      [
        [[1, 9]],
        [[2, 3, 4, 5]],
        [
          [6, 9],
          [7, 9],
        ],
      ],
    ],
    ["a document of as many rows", [[1, 2, 3, 4, 5, 6, 7], [8]], 4, [[[1, 2, 3, 4]], [[5, 6, 7, 9]], [[8, 9]]]],
    ["documents without tokens", [[], [], [1]], 3, [[[9], [9]], [[1, 9]]]],
    ["no documents", [], 3, []],
  ])("keeps %s in rows of their own sequences", async (_, ids, blockSize, expected) => {
    const rows = packNeatly(documentsInMemory(ids), { blockSize, eosId: EOS });
    expect(await sequences(rows)).toEqual(expected);
    expect(await readAll(rows)).toEqual(expected.map((row) => row.flat()));
    expect(rows.tokens).toBe(expected.flat(2).length);
    expect(rows.droppedTokens).toBe(0);
  });

  it("packs a slice of the documents as if they were all", async () => {
    const ids = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10], [11], [12]];
    const slice = packNeatly(sliceDocuments(documentsInMemory(ids), 1, 4), { blockSize: 4, eosId: EOS });
    expect(await sequences(slice)).toEqual(
      await sequences(packNeatly(documentsInMemory(ids.slice(1, 4)), { blockSize: 4, eosId: EOS })),
    );
  });
});

describe("padBlocks", () => {
  it("cuts long documents, leaves empty ones out and counts what it dropped", async () => {
    const rows = padBlocks(documentsInMemory([[1, 2, 3], [], [4], [5, 6, 7, 8]]), { blockSize: 3 });
    expect(await readAll(rows)).toEqual([[1, 2, 3], [4], [5, 6, 7]]);
    expect(rows).toMatchObject({ count: 3, tokens: 7, droppedTokens: 1 });
    expect(await rows.readSequences(2)).toEqual([Int32Array.of(5, 6, 7)]);
  });
});
