import { describe, expect, it } from "vitest";
import { random } from "../random.js";
import { shareOut } from "./share-out.js";

const sources = (...pairs: [weight: number, rows: number][]) => pairs.map(([weight, rows]) => ({ weight, rows }));

describe("the shares of a mixture", () => {
  it.each([
    ["as asked", sources([0.7, 1000], [0.3, 1000]), 100, "stop", [70, 30]],
    ["of weights that are no shares", sources([7, 1000], [3, 1000]), 100, "stop", [70, 30]],
    ["with what rounding leaves over", sources([1, 100], [1, 100], [1, 100]), 100, "stop", [34, 33, 33]],
    ["as far as the shortest goes", sources([0.7, 1000], [0.3, 30]), 1000, "stop", [70, 30]],
    ["as far as the shortest goes by default", sources([0.5, 40], [0.5, 30]), null, "stop", [30, 30]],
    ["with rows that are repeated", sources([0.7, 1000], [0.3, 30]), 1000, "repeat", [700, 300]],
    ["of everything", sources([1, 5]), null, "stop", [5]],
  ] as const)("are %s", (_, given, wanted, exhausted, expected) => {
    expect(shareOut(given, wanted, exhausted)).toEqual(expected);
  });

  it("are a row or less off, and never more than there is", () => {
    const next = random(3);
    for (let trial = 0; trial < 2000; trial++) {
      const given = Array.from({ length: 1 + Math.floor(next() * 4) }, () => ({
        weight: 0.01 + next(),
        rows: 1 + Math.floor(next() * 50),
      }));
      const weights = given.reduce((sum, { weight }) => sum + weight, 0);
      const wanted = 1 + Math.floor(next() * 100);
      for (const exhausted of ["stop", "repeat"] as const) {
        const counts = shareOut(given, wanted, exhausted);
        const total = counts.reduce((sum, count) => sum + count, 0);
        if (exhausted === "repeat") expect(total).toBe(wanted);
        else counts.forEach((count, i) => expect(count).toBeLessThanOrEqual(given[i]!.rows));
        counts.forEach((count, i) =>
          expect(Math.abs(count - (total * given[i]!.weight) / weights)).toBeLessThan(1.001),
        );
      }
    }
  });
});
