/** Cuts token documents into rows one document at a time, as packBlocks, packNeatly and padBlocks do for all of them. */

/** How documents become rows; see packBlocks, packNeatly and padBlocks. */
export type Packing = "blocks" | "neat" | "none";

/** The sequences of a row: one, or with neat packing one a document. */
export type Sequences = readonly Int32Array[];

export interface RowPackerOptions {
  readonly packing: Packing;
  readonly blockSize: number;
  /** Ends each document, but for packing none. */
  readonly eosId: number;
}

export class RowPacker {
  readonly #options: RowPackerOptions;
  /** Of the row that is not full yet: the parts of documents that are in it. */
  #open: Int32Array[];
  #length: number;

  /** @param open what `open()` of another packer with these options gave */
  constructor(options: RowPackerOptions, open: readonly string[] = []) {
    this.#options = options;
    this.#open = open.map((ids) => Int32Array.from(ids.split(" "), Number));
    this.#length = lengthOf(this.#open);
  }

  /** What the row that is not full yet holds, for JSON. */
  open(): string[] {
    return this.#open.map((ids) => ids.join(" "));
  }

  /** The rows that a document completes. */
  add(document: Int32Array): Sequences[] {
    const { packing, blockSize, eosId } = this.#options;
    if (packing === "none") return document.length === 0 ? [] : [[document.slice(0, blockSize)]];
    const ids = new Int32Array(document.length + 1).fill(eosId);
    ids.set(document);
    const rows = packing === "neat" && this.#length + ids.length > blockSize ? this.finish() : [];
    for (let begin = 0; begin < ids.length;) {
      const part = ids.subarray(begin, begin + blockSize - this.#length);
      begin += part.length;
      this.#open.push(part);
      this.#length += part.length;
      if (this.#length === blockSize) rows.push(...this.finish());
    }
    return rows;
  }

  /** The row that is not full, if there is one. */
  finish(): Sequences[] {
    const parts = this.#open;
    this.#open = [];
    this.#length = 0;
    if (parts.length === 0) return [];
    return [this.#options.packing === "neat" ? parts : [joinIds(parts)]];
  }
}

function lengthOf(arrays: readonly Int32Array[]): number {
  return arrays.reduce((sum, { length }) => sum + length, 0);
}

/** Ids end to end. */
export function joinIds(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(lengthOf(parts));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
