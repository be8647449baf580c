import { describe, expect, it } from "vitest";
import { embeddingNoise } from "./embedding-noise.js";

describe("noise on embeddings", () => {
  const draw = { alpha: 5, seed: 42, step: 3, microStep: 1, factor: 1 };
  const hidden = 64;

  it("is uniform within alpha / sqrt(L d) of each sequence", () => {
    const noise = embeddingNoise(Int32Array.of(0, 100, 500), hidden, draw);
    for (const [begin, end] of [
      [0, 100],
      [100, 500],
    ] as const) {
      const part = noise.subarray(begin * hidden, end * hidden);
      const bound = 5 / Math.sqrt((end - begin) * hidden);
      expect(Math.max(...part.map(Math.abs))).toBeLessThanOrEqual(bound);
      // Of a uniform variable: mean 0, variance bound^2 / 3, each within five standard errors.
      const mean = part.reduce((a, b) => a + b, 0) / part.length;
      const variance = part.reduce((a, b) => a + b * b, 0) / part.length;
      expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * part.length));
      expect(Math.abs(variance / (bound * bound) - 1 / 3)).toBeLessThan(5 * Math.sqrt(4 / 45 / part.length));
    }
  });

  it("is the same for the same place and another for every other step, micro-step and seed", () => {
    const of = (change: object) => embeddingNoise(Int32Array.of(0, 8), hidden, { ...draw, ...change });
    expect(of({})).toEqual(of({}));
    const others = [{ step: 4 }, { microStep: 0 }, { seed: 43 }, { seed: 42 + 2 ** 32 }].map(of);
    for (const noise of others) expect(noise.filter((value, at) => value === of({})[at]).length).toBeLessThan(3);
  });

  it("grows with alpha and the factor of the embeddings", () => {
    const of = (change: object) => embeddingNoise(Int32Array.of(0, 8), hidden, { ...draw, ...change })[17]!;
    expect(of({ alpha: 10 }) / of({})).toBeCloseTo(2, 5);
    expect(of({ factor: 8 }) / of({})).toBeCloseTo(8, 5);
  });
});
