import { describe, expect, it } from "vitest";
import { LengthHistogram } from "./length-histogram.js";
import { random } from "./random.js";

/** Lengths as texts have them: many short, few very long. */
function lengths(count: number, seed: number): number[] {
  const next = random(seed);
  return Array.from({ length: count }, () => Math.floor(Math.exp(next() * 12)));
}

function histogramOf(values: readonly number[]): LengthHistogram {
  const histogram = new LengthHistogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

describe("a histogram of lengths", () => {
  it.each([1, 2, 99, 5000])("has the quantiles of %d sorted lengths", (count) => {
    const values = lengths(count, count);
    const sorted = values.toSorted((a, b) => a - b);
    const summary = histogramOf(values).summary()!;
    expect(summary).toMatchObject({ count, min: sorted[0], max: sorted.at(-1) });
    expect(summary.mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / count, 6);
    for (const [key, q] of [
      ["p5", 0.05],
      ["p50", 0.5],
      ["p95", 0.95],
      ["p99", 0.99],
    ] as const) {
      const exact = sorted[Math.ceil(q * count) - 1]!;
      // A place holds lengths that are less than 1 in 2,048 above it.
      if (exact < 4096) expect(summary[key]).toBe(exact);
      else expect(Math.abs(summary[key] / exact - 1)).toBeLessThan(1 / 2048);
    }
  });

  it("is the same whole or merged of parts, also of those that came as messages", () => {
    const values = lengths(3000, 1);
    const merged = new LengthHistogram();
    for (let at = 0; at < values.length; at += 700)
      merged.merge(structuredClone(histogramOf(values.slice(at, at + 700))));
    const sorted = (histogram: LengthHistogram): [number, number][] => [...histogram.counts].sort(([a], [b]) => a - b);
    const whole = histogramOf(values);
    expect(sorted(merged)).toEqual(sorted(whole));
    expect(merged.summary()).toEqual(whole.summary());
  });

  it.each([
    [[5]],
    [[0, 0, 0]],
    [lengths(1000, 2)],
    [lengths(1000, 3).map((value) => value + 100_000)],
    [Array.from({ length: 500 }, (_, i) => i)],
  ])("has bars that hold every length once, side by side", (values) => {
    const bars = histogramOf(values).bars(16);
    expect(bars.reduce((sum, { count }) => sum + count, 0)).toBe(values.length);
    expect(bars.length).toBeLessThanOrEqual(18);
    expect(bars[0]!.from).toBeLessThanOrEqual(Math.min(...values));
    for (const [i, bar] of bars.entries()) {
      if (i > 0) expect(bar.from).toBe(bars[i - 1]!.to + 1);
      if (bar.to < 4096) expect(bar.count).toBe(values.filter((value) => value >= bar.from && value <= bar.to).length);
    }
  });

  it("of nothing has no summary and no bars", () => {
    expect(new LengthHistogram().summary()).toBeUndefined();
    expect(new LengthHistogram().bars(5)).toEqual([]);
  });
});
