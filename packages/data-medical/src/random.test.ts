import { describe, expect, it } from "vitest";
import { chooser, random } from "./random.js";

describe("random numbers", () => {
  it("follow from the seed, the same in every release", () => {
    const next = random(42);
    // From sfc32 written down in Python.
    expect([next(), next(), next()]).toEqual([0.2943939108991622, 0.9125655748162674, 0.15283041054181234]);
    const firsts = new Set(Array.from({ length: 1000 }, (_, seed) => random(seed)()));
    expect(firsts.size).toBe(1000);
    expect(random(2 ** 40)()).not.toBe(random(0)());
  });

  it("are evenly distributed in [0, 1)", () => {
    const next = random(1);
    const counts = new Array<number>(10).fill(0);
    const draws = 100_000;
    for (let i = 0; i < draws; i++) counts[Math.floor(next() * 10)]!++;
    // Chi-squared with 9 degrees of freedom is below 27.9 with probability 0.999.
    expect(counts.reduce((sum, count) => sum + (count - draws / 10) ** 2 / (draws / 10), 0)).toBeLessThan(27.9);
  });
});

describe("a chooser", () => {
  it.each([
    [0, 10],
    [1, 10],
    [7, 10],
    [10, 10],
  ])("chooses %d of %d rows, whatever the seed", (count, total) => {
    const times = new Array<number>(total).fill(0);
    const trials = 2000;
    for (let seed = 0; seed < trials; seed++) {
      const isChosen = chooser(count, total, seed);
      const chosen = Array.from({ length: total }, () => isChosen());
      expect(chosen.filter(Boolean)).toHaveLength(count);
      chosen.forEach((each, row) => (times[row]! += Number(each)));
    }
    const share = count / total;
    // Four standard deviations of a binomial.
    const spread = 4 * Math.sqrt(trials * share * (1 - share));
    for (const each of times) expect(Math.abs(each - trials * share)).toBeLessThanOrEqual(spread);
  });
});
