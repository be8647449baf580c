import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { goldenCases, goldenDir, readCase } from "../../testing/goldens.js";
import { epochOrder, shuffledOrder, torchRandperm, trainTestSplit, validationCount } from "./sampler.js";

interface Orders {
  torch_randperm: number[];
  datasets_shuffle: number[];
  then_split_10pct_train: number[];
  then_split_10pct_test: number[];
}

const folders = goldenCases("C_training", "orders");

describe("torchRandperm", () => {
  it.skipIf(folders.length === 0)("has the reference's orders", () => {
    const cases = folders.flatMap((folder) =>
      Object.entries(readCase<{ orders: Record<string, Orders> }>(goldenDir("C_training", folder)).orders),
    );
    expect(cases.length).toBeGreaterThan(0);
    for (const [name, { torch_randperm }] of cases) {
      const [, seed, n] = /^seed(\d+)\/n(\d+)$/.exec(name)!;
      expect([...torchRandperm(Number(n), Number(seed))], name).toEqual(torch_randperm);
    }
  });

  // SHA-256 of the order as int32, from PyTorch 2.15.
  it.each([
    [1, 0, "df3f619804a92fdb4057192dc43dd748ea778adc52bc498ce80524c014b81119"],
    [2, 1, "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8"],
    [3, -1, "ad5dc1478de06a4c2728ea528bd9361a4b945e92a414bf4d180cedaaeaa5f4cc"],
    [1_000, 7, "9474a982d16edc13ae546cc97b13f0d313038c52166429a461526e7553fbef49"],
    [65_537, 2 ** 32 + 5, "aa6d609649e477d984d7acd84ea9e1c69b2ead67777b9b18f01700d190bc7db4"],
    [100_000, 42, "e4e0f7c66bbd3b66058e1c85ff8ebeff56d90430609230c61576f63f73ae82c4"],
  ])("of %i numbers and seed %i is PyTorch's", (n, seed, digest) => {
    expect(createHash("sha256").update(torchRandperm(n, seed)).digest("hex")).toBe(digest);
  });

  it("of nothing is nothing", () => {
    expect(torchRandperm(0, 1)).toHaveLength(0);
  });
});

describe("the orders of datasets", () => {
  it.skipIf(folders.length === 0)("are the reference's, shuffled and then split", () => {
    const cases = folders.flatMap((folder) =>
      Object.entries(readCase<{ orders: Record<string, Orders> }>(goldenDir("C_training", folder)).orders),
    );
    expect(cases.length).toBeGreaterThan(0);
    for (const [name, expected] of cases) {
      const [, seed, n] = /^seed(\d+)\/n(\d+)$/.exec(name)!;
      const order = shuffledOrder(Number(n), Number(seed));
      expect([...order], name).toEqual(expected.datasets_shuffle);
      const { train, test } = trainTestSplit(Number(n), 10, Number(seed));
      expect(
        [...train].map((row) => order[row]),
        name,
      ).toEqual(expected.then_split_10pct_train);
      expect(
        [...test].map((row) => order[row]),
        name,
      ).toEqual(expected.then_split_10pct_test);
    }
  });
});

describe("epochOrder", () => {
  // From accelerate 1.15: 11 rows through its prepared loader, seed 42.
  it.each([
    [0, [6, 8, 9, 2, 1, 10, 0, 7, 3, 5, 4]],
    [1, [3, 9, 4, 2, 8, 7, 6, 10, 1, 5, 0]],
    [2, [2, 4, 9, 8, 5, 3, 7, 6, 0, 10, 1]],
  ])("of epoch %i is the Trainer's", (epoch, order) => {
    expect([...epochOrder(11, { seed: 42, epoch, strategy: "random" })]).toEqual(order);
  });

  it("can be the rows' own", () => {
    expect([...epochOrder(4, { seed: 42, epoch: 3, strategy: "sequential" })]).toEqual([0, 1, 2, 3]);
  });
});

describe("validationCount", () => {
  // int(round(percent * n / 100.0)) in Python.
  it.each([
    [996, 1, 10],
    [42, 1, 0],
    [50, 1, 0],
    [150, 1, 2],
    [250, 1, 2],
    [350, 1, 4],
    [99, 1, 1],
    [10, 5, 0],
    [30, 5, 2],
    [1000, 10, 100],
    [0, 10, 0],
    [7, 100, 7],
  ])("of %i documents at %i %% is %i", (documents, percent, expected) => {
    expect(validationCount(documents, percent)).toBe(expected);
  });
});
