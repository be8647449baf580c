/**
 * numpy.random.default_rng: PCG64 (O'Neill 2014, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
 * Algorithms for Random Number Generation", XSL-RR 128/64) seeded through SeedSequence, and the two methods that datasets
 * shuffles with.
 */
import { z } from "zod";

const MASK32 = (1n << 32n) - 1n;
const MASK64 = (1n << 64n) - 1n;
const MASK128 = (1n << 128n) - 1n;
const MULTIPLIER = 0x2360ed051fc65da44385df649fccf645n;

const integer = z.string().regex(/^\d{1,39}$/);
/** What a generator goes on from, for JSON. */
export const numpyRandomState = z.object({
  state: integer,
  increment: integer,
  /** The upper half of the last 64 bits, where only the lower one was used. */
  half: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .nullable(),
});
export type NumpyRandomState = z.output<typeof numpyRandomState>;

export class NumpyRandom {
  #state: bigint;
  readonly #increment: bigint;
  #half: number | undefined;

  private constructor(state: bigint, increment: bigint, half: number | undefined) {
    this.#state = state;
    this.#increment = increment;
    this.#half = half;
  }

  /** default_rng(seed), for a seed that is not negative. */
  static seeded(seed: bigint): NumpyRandom {
    const [stateHigh, stateLow, streamHigh, streamLow] = seedSequence(seed);
    const increment = ((((streamHigh << 64n) | streamLow) << 1n) | 1n) & MASK128;
    const random = new NumpyRandom(0n, increment, undefined);
    random.#step();
    random.#state = (random.#state + ((stateHigh << 64n) | stateLow)) & MASK128;
    random.#step();
    return random;
  }

  static restored({ state, increment, half }: NumpyRandomState): NumpyRandom {
    return new NumpyRandom(BigInt(state), BigInt(increment), half ?? undefined);
  }

  state(): NumpyRandomState {
    return { state: String(this.#state), increment: String(this.#increment), half: this.#half ?? null };
  }

  /** integers(0, 2**63): 63 bits. */
  int63(): bigint {
    return this.#next64() >> 1n;
  }

  /** permutation(n): the numbers below n in random order. */
  permutation(n: number): Int32Array {
    const order = Int32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.#upTo(i);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }

  /** numpy's random_interval: bits enough for `most`, drawn again until they are no more than it. */
  #upTo(most: number): number {
    const mask = most === 0 ? 0 : 0xffffffff >>> Math.clz32(most);
    for (;;) {
      const value = (this.#next32() & mask) >>> 0;
      if (value <= most) return value;
    }
  }

  #step(): void {
    this.#state = (this.#state * MULTIPLIER + this.#increment) & MASK128;
  }

  #next64(): bigint {
    this.#step();
    const mixed = (this.#state >> 64n) ^ (this.#state & MASK64);
    const rotation = this.#state >> 122n;
    return ((mixed >> rotation) | (mixed << (64n - rotation))) & MASK64;
  }

  #next32(): number {
    if (this.#half !== undefined) {
      const half = this.#half;
      this.#half = undefined;
      return half;
    }
    const next = this.#next64();
    this.#half = Number(next >> 32n);
    return Number(next & MASK32);
  }
}

/** SeedSequence(seed).generate_state(4, uint64), with a pool of four words. */
function seedSequence(seed: bigint): [bigint, bigint, bigint, bigint] {
  const entropy: number[] = [];
  for (let rest = seed; rest > 0n; rest >>= 32n) entropy.push(Number(rest & MASK32));

  let constant = 0x43b0d7e5;
  const hash = (value: number): number => {
    value ^= constant;
    constant = Math.imul(constant, 0x931e8875);
    value = Math.imul(value, constant);
    return (value ^ (value >>> 16)) >>> 0;
  };
  const mix = (x: number, y: number): number => {
    const mixed = (Math.imul(0xca01f9dd, x) - Math.imul(0x4973f715, y)) | 0;
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  const pool = Array.from({ length: 4 }, (_, i) => hash(entropy[i] ?? 0));
  for (let from = 0; from < 4; from++)
    for (let to = 0; to < 4; to++) if (from !== to) pool[to] = mix(pool[to]!, hash(pool[from]!));
  for (const word of entropy.slice(4)) for (let to = 0; to < 4; to++) pool[to] = mix(pool[to]!, hash(word));

  constant = 0x8b51f9dd;
  const words = Array.from({ length: 8 }, (_, i) => {
    let value = pool[i % 4]! ^ constant;
    constant = Math.imul(constant, 0x58f38ded);
    value = Math.imul(value, constant);
    return BigInt((value ^ (value >>> 16)) >>> 0);
  });
  const word64 = (i: number): bigint => words[2 * i]! | (words[2 * i + 1]! << 32n);
  return [word64(0), word64(1), word64(2), word64(3)];
}
