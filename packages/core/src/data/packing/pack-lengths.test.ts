import { describe, expect, it } from "vitest";
import { torchRandperm } from "../order/sampler.js";
import { packLengths } from "./pack-lengths.js";

describe("packLengths", () => {
  it("takes the fullest pack that has room", () => {
    expect(packLengths([3, 6, 4, 5, 2], 10)).toEqual([
      [1, 2],
      [3, 0, 4],
    ]);
    expect(packLengths([10, 10, 1], 10)).toEqual([[0], [1], [2]]);
    expect(packLengths([], 4)).toEqual([]);
  });

  it("puts every row into one pack, none over the capacity, and fills them", () => {
    const lengths = Array.from(torchRandperm(2000, 1), (value) => 1 + (value % 512));
    const packs = packLengths(lengths, 512);
    expect(packs.flat().sort((a, b) => a - b)).toEqual(lengths.map((_, row) => row));
    const sizes = packs.map((pack) => pack.reduce((sum, row) => sum + lengths[row]!, 0));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(512);
    const total = lengths.reduce((a, b) => a + b, 0);
    expect(packs.length).toBeLessThanOrEqual(Math.ceil(1.02 * (total / 512)));
  });
});
