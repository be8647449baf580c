/** Lengths below this are counted each by itself; longer ones share a place with those within 1 in 2,048. */
const EXACT = 4096;

/** The figures of a histogram, for people and programs. */
export interface LengthSummary {
  readonly count: number;
  readonly sum: number;
  readonly mean: number;
  readonly min: number;
  readonly p5: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

/** A bar of a picture: lengths from `from` to `to`, both counted. */
export interface Bar {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

/**
 * How often each length occurs. Quantiles are exact up to 4,096 and within 0.05 % above; memory is bounded by the number of
 * places, 2,048 for each doubling. Merging histograms of parts gives that of the whole, in whatever order.
 */
export class LengthHistogram {
  readonly counts: Map<number, number>;
  sum: number;
  min: number;
  max: number;

  /** @param plain a histogram as a message between threads carries it, without its class */
  constructor(plain?: Pick<LengthHistogram, "counts" | "sum" | "min" | "max">) {
    this.counts = plain?.counts ?? new Map<number, number>();
    this.sum = plain?.sum ?? 0;
    this.min = plain?.min ?? Infinity;
    this.max = plain?.max ?? 0;
  }

  add(length: number): void {
    const place = length < EXACT ? length : length - (length % 2 ** (Math.floor(Math.log2(length)) - 11));
    this.counts.set(place, (this.counts.get(place) ?? 0) + 1);
    this.sum += length;
    if (length < this.min) this.min = length;
    if (length > this.max) this.max = length;
  }

  merge(other: Pick<LengthHistogram, "counts" | "sum" | "min" | "max">): void {
    for (const [place, count] of other.counts) this.counts.set(place, (this.counts.get(place) ?? 0) + count);
    this.sum += other.sum;
    this.min = Math.min(this.min, other.min);
    this.max = Math.max(this.max, other.max);
  }

  get count(): number {
    let count = 0;
    for (const each of this.counts.values()) count += each;
    return count;
  }

  /** undefined where nothing was counted. */
  summary(): LengthSummary | undefined {
    const { count, sum, min, max } = this;
    if (count === 0) return undefined;
    const places = this.#sorted();
    /** The least length that at least a share `q` of all do not exceed. */
    const quantile = (q: number): number => {
      let seen = 0;
      for (const [place, times] of places) if ((seen += times) >= q * count) return Math.max(place, min);
      return max;
    };
    const [p5, p50, p95, p99] = [0.05, 0.5, 0.95, 0.99].map(quantile) as [number, number, number, number];
    return { count, sum, mean: sum / count, min, p5, p50, p95, p99, max };
  }

  /** About `most` bars of one round width, and in the last the 1 % that is longer than all of them. */
  bars(most: number): Bar[] {
    const summary = this.summary();
    if (summary === undefined) return [];
    const width = roundWidth((summary.p99 - summary.min + 1) / most);
    const begin = summary.min - (summary.min % width);
    const wide = Math.ceil((summary.p99 - begin + 1) / width);
    const bars = Array.from({ length: wide }, (_, i) => ({
      from: begin + i * width,
      to: begin + (i + 1) * width - 1,
      count: 0,
    }));
    const end = begin + wide * width;
    const rest = { from: end, to: summary.max, count: 0 };
    for (const [place, count] of this.counts) {
      (place < end ? bars[Math.max(0, Math.floor((place - begin) / width))]! : rest).count += count;
    }
    return rest.count > 0 ? [...bars, rest] : bars;
  }

  #sorted(): [number, number][] {
    return [...this.counts].sort(([a], [b]) => a - b);
  }
}

/** The least of 1, 2, 5, 10, 20, 50 … that is at least `least`. */
function roundWidth(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return [1, 2, 5, 10].map((digit) => digit * power).find((width) => width >= least)!;
}
