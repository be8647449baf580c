import { hash } from "node:crypto";

/** The first 64 bits of SHA-256, in two words. Among ten million rows two different ones agree with probability 3e-6. */
export type Fingerprint = readonly [high: number, low: number];

/** Of a text or of bytes as they are, to the last space. */
export function fingerprint(content: string | Uint8Array): Fingerprint {
  const digest = hash("sha256", content, "buffer");
  return [digest.readUInt32LE(0), digest.readUInt32LE(4)];
}

/** A set of fingerprints in the order of their coming: 24 to 48 bytes each. */
export class ExactDuplicates {
  /** High and low word, then the number + 1: 0 is free. */
  #table = new Uint32Array(3 << 12);
  #size = 0;

  /** How many different ones there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of an equal one that came before, counting different ones from 0; undefined for a new one, which is kept. */
  add(print: Fingerprint): number | undefined {
    const at = this.#place(print);
    if (this.#table[at + 2] !== 0) return this.#table[at + 2]! - 1;
    this.#put(at, print, ++this.#size);
    if (this.#size * 2 > this.#table.length / 3) this.#grow();
    return undefined;
  }

  #grow(): void {
    const old = this.#table;
    this.#table = new Uint32Array(old.length * 2);
    for (let at = 0; at < old.length; at += 3) {
      if (old[at + 2] === 0) continue;
      const print = [old[at]!, old[at + 1]!] as const;
      this.#put(this.#place(print), print, old[at + 2]!);
    }
  }

  /** Where the fingerprint is, or the free place where it belongs. */
  #place([high, low]: Fingerprint): number {
    const places = this.#table.length / 3;
    let place = low & (places - 1);
    while (
      this.#table[place * 3 + 2] !== 0 &&
      (this.#table[place * 3] !== high || this.#table[place * 3 + 1] !== low)
    ) {
      place = (place + 1) & (places - 1);
    }
    return place * 3;
  }

  #put(at: number, [high, low]: Fingerprint, number: number): void {
    this.#table[at] = high;
    this.#table[at + 1] = low;
    this.#table[at + 2] = number;
  }
}
