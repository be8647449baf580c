import { MedgptError } from "@medgpt/artifacts";

/** Tokenised documents that lie one after the other, in memory or in a file, with their ids read on demand. */
export interface TokenDocuments {
  /** (documents + 1): document i takes ids offsets[i] to offsets[i + 1] of what readTokens counts. */
  readonly offsets: Float64Array;
  /** `count` ids from position `start`. */
  readTokens(start: number, count: number): Promise<Int32Array>;
}

export function documentCount(documents: TokenDocuments): number {
  return documents.offsets.length - 1;
}

export function tokenCount({ offsets }: TokenDocuments): number {
  return offsets[offsets.length - 1]! - offsets[0]!;
}

export function readDocument(documents: TokenDocuments, index: number): Promise<Int32Array> {
  const [begin, end] = [documents.offsets[index], documents.offsets[index + 1]];
  if (begin === undefined || end === undefined) {
    throw new MedgptError(`document ${index} was asked for, but there are ${documentCount(documents)}`);
  }
  return documents.readTokens(begin, end - begin);
}

/** Documents `from` up to, but without, `to`; nothing is copied. */
export function sliceDocuments(documents: TokenDocuments, from: number, to: number): TokenDocuments {
  return {
    offsets: documents.offsets.subarray(from, to + 1),
    readTokens: (start, count) => documents.readTokens(start, count),
  };
}

/** Documents that are in memory already. */
export function documentsInMemory(ids: readonly ArrayLike<number>[]): TokenDocuments {
  const offsets = new Float64Array(ids.length + 1);
  for (const [i, document] of ids.entries()) offsets[i + 1] = offsets[i]! + document.length;
  const all = new Int32Array(offsets[ids.length]!);
  for (const [i, document] of ids.entries()) all.set(document, offsets[i]);
  return { offsets, readTokens: (start, count) => Promise.resolve(all.slice(start, start + count)) };
}
