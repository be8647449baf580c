/** Seeded numbers for tests: mulberry32, so that a case is the same on every machine. */
export interface Random {
  /** In [0, 1). */
  uniform(): number;
  /** Mean 0, variance 1. */
  normal(): number;
  /** A whole number in [0, limit). */
  below(limit: number): number;
  /** `count` normal numbers times `scale`. */
  normals(count: number, scale?: number): Float32Array;
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let word = Math.imul(state ^ (state >>> 15), state | 1);
    word ^= word + Math.imul(word ^ (word >>> 7), word | 61);
    return ((word ^ (word >>> 14)) >>> 0) / 2 ** 32;
  };
  // Box and Muller; 1 - uniform() is never 0.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return {
    uniform,
    normal,
    below: (limit) => Math.floor(uniform() * limit),
    normals: (count, scale = 1) => Float32Array.from({ length: count }, () => normal() * scale),
  };
}
