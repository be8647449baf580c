import { describe, expect, it } from "vitest";
import { packBlocks, packNeatly, padBlocks } from "./packing.js";
import { RowPacker, type Packing, type Sequences } from "./row-packer.js";
import { documentsInMemory } from "../tokens/token-documents.js";

const documents = [3, 0, 5, 1, 0, 12, 2, 7, 4, 31, 1].map((length, i) =>
  Int32Array.from({ length }, (_, j) => 100 * (i + 1) + j),
);
const atOnce = { blocks: packBlocks, neat: packNeatly, none: padBlocks };

describe.each<Packing>(["blocks", "neat", "none"])("packing %s", (packing) => {
  it.each([1, 2, 3, 5, 8, 31, 32, 40])(
    "gives the rows of %i tokens that packing all at once gives",
    async (blockSize) => {
      const options = { packing, blockSize, eosId: 9 };
      const rows = atOnce[packing](documentsInMemory(documents), options);
      const expected = [];
      for (let row = 0; row < rows.count; row++) expected.push(await rows.readSequences(row));

      let packer = new RowPacker(options);
      const found: Sequences[] = [];
      for (const document of documents) {
        found.push(...packer.add(document));
        packer = new RowPacker(options, packer.open()); // as after a restart
      }
      if (packing === "neat") found.push(...packer.finish());
      expect(found).toEqual(expected);
    },
  );
});
