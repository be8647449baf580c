/**
 * MinHash (Broder 1997): a signature of fixed size whose share of equal slots estimates how much two texts have in common,
 * the Jaccard index of their sets of shingles. A hash function fills BINS slots at a time, the least hash of each bin
 * (one permutation hashing, Li et al. 2012), which takes 8 hashes a shingle in place of 128; a bin that stays empty
 * borrows from another (Shrivastava 2017), so that the estimate has no bias.
 */
import { eachShingle } from "./shingles.js";

const ROUNDS = 8;
const BINS = 16;

/** The number of slots, of one byte each: unequal ones agree by chance in 1 of 256. */
export const SIGNATURE_SIZE = ROUNDS * BINS;

/** Changes every bit with every bit (MurmurHash3's finalizer). */
function mix(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const EMPTY = 0xffffffff;
const least = new Uint32Array(SIGNATURE_SIZE);

/**
 * The signature of a text, into `into` when given. It depends on the text and the seed alone.
 * @returns undefined for a text without a letter or digit, which is like no other
 */
export function minHash(
  text: string,
  seed: number,
  into: Uint8Array = new Uint8Array(SIGNATURE_SIZE),
): Uint8Array | undefined {
  least.fill(EMPTY);
  let any = false;
  eachShingle(text, seed, (shingle) => {
    any = true;
    for (let round = 0; round < ROUNDS; round++) {
      const hash = mix(shingle + Math.imul(round, 0x9e3779b1));
      const slot = round * BINS + (hash >>> 28);
      const value = hash & 0x0fffffff;
      if (value < least[slot]!) least[slot] = value;
    }
  });
  if (!any) return undefined;
  for (let slot = 0; slot < SIGNATURE_SIZE; slot++) {
    const round = slot - (slot % BINS);
    let from = slot;
    for (let attempt = 1; least[from] === EMPTY; attempt++) from = round + (mix(slot * 4096 + attempt) % BINS);
    into[slot] = mix(least[from]!) & 0xff;
  }
  return into;
}

/** An estimate of the Jaccard index; its standard error is 0.035 at 0.8, more for texts of less than 16 shingles. */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  let equal = 0;
  for (let slot = 0; slot < SIGNATURE_SIZE; slot++) if (a[slot] === b[slot]) equal++;
  return Math.max(0, (equal / SIGNATURE_SIZE - 1 / 256) / (255 / 256));
}
