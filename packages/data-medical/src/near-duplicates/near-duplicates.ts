import { InputError } from "@medgpt/artifacts";
import { SIGNATURE_SIZE, similarity } from "./min-hash.js";

/** Signatures are kept in blocks, so that growing copies none. */
const BLOCK_ROWS = 1 << 14;

/** Rows compared for one band of a row: bounds the time where very many share a beginning or an end. */
const MAX_CANDIDATES = 64;

/** The least share of pairs at the threshold itself that must meet in a band; above it nearly all do. */
const RECALL = 0.95;

/**
 * Finds, for one text after another, an earlier one like it. Signatures are cut into bands (locality-sensitive hashing);
 * only rows that agree in a whole band are compared. Memory: the signature and 6 to 12 bytes a band, in all 240 to 340 bytes
 * a row at 0.8; more bands for lower thresholds.
 */
export class NearDuplicates {
  readonly threshold: number;
  readonly #bands: number;
  readonly #width: number;
  readonly #blocks: Uint8Array[] = [];
  #size = 0;
  /** Open addressing: row + 1 under the hash of each of its bands; 0 is free. */
  #table = new Uint32Array(1 << 12);
  #used = 0;

  /** @param options.threshold the Jaccard index of shingles from which on two texts are near duplicates */
  constructor(options: { readonly threshold: number }) {
    const { threshold } = options;
    if (!(threshold >= 0.5 && threshold <= 1)) {
      throw new InputError(`expected a threshold from 0.5 to 1, got ${threshold}`);
    }
    this.threshold = threshold;
    let width = 16; // wider bands mean fewer candidates, and fewer of the true ones
    const recall = (): number => 1 - (1 - threshold ** width) ** Math.floor(SIGNATURE_SIZE / width);
    while (recall() < RECALL) width--;
    this.#width = width;
    this.#bands = Math.floor(SIGNATURE_SIZE / width);
  }

  /** How many signatures are kept: they are numbered from 0 in the order of `add`. */
  get size(): number {
    return this.#size;
  }

  /** The number of the earliest signature found that is like this one. */
  find(signature: Uint8Array): number | undefined {
    let found: number | undefined;
    for (let band = 0; band < this.#bands; band++) {
      let candidates = 0;
      for (let at = this.#home(signature, band); this.#table[at] !== 0; at = this.#next(at)) {
        const row = this.#table[at]! - 1;
        if (found !== undefined && row >= found) continue;
        if (!this.#agrees(signature, row, band)) continue;
        if (similarity(signature, this.#signature(row)) >= this.threshold) found = row;
        else if (++candidates === MAX_CANDIDATES) break;
      }
    }
    return found;
  }

  /** How alike a signature and the one of this number are. */
  similarity(row: number, signature: Uint8Array): number {
    return similarity(signature, this.#signature(row));
  }

  /** Keeps a signature to be found, and returns its number. */
  add(signature: Uint8Array): number {
    const row = this.#size++;
    if (row % BLOCK_ROWS === 0) this.#blocks.push(new Uint8Array(BLOCK_ROWS * SIGNATURE_SIZE));
    this.#signature(row).set(signature);
    if ((this.#used + this.#bands) * 3 > this.#table.length * 2) this.#grow();
    else this.#insert(row);
    return row;
  }

  #grow(): void {
    this.#table = new Uint32Array(this.#table.length * 2);
    this.#used = 0;
    for (let row = 0; row < this.#size; row++) this.#insert(row);
  }

  #insert(row: number): void {
    const signature = this.#signature(row);
    for (let band = 0; band < this.#bands; band++) {
      let at = this.#home(signature, band);
      let candidates = 0;
      for (; this.#table[at] !== 0 && candidates < MAX_CANDIDATES; at = this.#next(at)) {
        if (this.#agrees(signature, this.#table[at]! - 1, band)) candidates++;
      }
      if (candidates === MAX_CANDIDATES) continue; // would not be looked at
      this.#table[at] = row + 1;
      this.#used++;
    }
  }

  #signature(row: number): Uint8Array {
    const start = (row % BLOCK_ROWS) * SIGNATURE_SIZE;
    return this.#blocks[Math.floor(row / BLOCK_ROWS)]!.subarray(start, start + SIGNATURE_SIZE);
  }

  /** Whether a signature and a row's are equal in a band. This is where the time goes: nothing is allocated. */
  #agrees(signature: Uint8Array, row: number, band: number): boolean {
    const block = this.#blocks[Math.floor(row / BLOCK_ROWS)]!;
    const start = (row % BLOCK_ROWS) * SIGNATURE_SIZE;
    const end = (band + 1) * this.#width;
    for (let slot = band * this.#width; slot < end; slot++) {
      if (signature[slot] !== block[start + slot]) return false;
    }
    return true;
  }

  #home(signature: Uint8Array, band: number): number {
    let hash = band + 1;
    for (let slot = band * this.#width; slot < (band + 1) * this.#width; slot++) {
      hash = Math.imul(hash ^ signature[slot]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (this.#table.length - 1);
  }

  #next(at: number): number {
    return (at + 1) & (this.#table.length - 1);
  }
}
