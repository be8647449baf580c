/**
 * Numbers in [0, 1) that follow from a seed, the same on every machine and in every release: sfc32 (Doty-Humphrey's Small
 * Fast Counter, 128 bits of state), which takes 5 ns a number where a cryptographic one takes a microsecond.
 */
export function random(seed: number): () => number {
  let [a, b, c, counter] = [0, seed >>> 0, Math.floor(seed / 2 ** 32) >>> 0, 1];
  const next = (): number => {
    const result = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + result;
    return result >>> 0;
  };
  for (let i = 0; i < 12; i++) next(); // until every bit of the seed has reached every bit of the state
  return () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53;
}

/**
 * Chooses `count` of `total` rows that are asked for one after the other, every set of them with the same probability
 * (Knuth, TAOCP 3.4.2, algorithm S).
 */
export function chooser(count: number, total: number, seed: number): () => boolean {
  const next = random(seed);
  let [left, wanted] = [total, count];
  return () => {
    const chosen = next() * left-- < wanted;
    if (chosen) wanted--;
    return chosen;
  };
}
