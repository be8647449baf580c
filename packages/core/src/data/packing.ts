/**
 * Rows of training text. With packing, documents are joined, each followed by the end-of-text token, and cut into blocks;
 * this is MedicalGPT's group_text_function, except that it starts anew (and drops its remainder) every 1,000 documents,
 * which is an accident of datasets.map, where here the remainder is carried on.
 */
import { InputError, MedgptError } from "@medgpt/artifacts";
import { documentCount, readDocument, tokenCount, type TokenDocuments } from "./token-documents.js";

export interface Rows {
  readonly count: number;
  /** Over all rows. */
  readonly tokens: number;
  /** Tokens that are in no row: the remainder shorter than a block, or what truncation cut off. */
  readonly droppedTokens: number;
  /** Ids of a row. Labels are the ids themselves: every token carries loss. */
  read(index: number): Promise<Int32Array>;
}

/**
 * Blocks of exactly blockSize tokens. Text that is shorter than one block makes one short block; otherwise the remainder
 * is dropped and counted. Nothing is held in memory: a block is read where it lies.
 */
export function packBlocks(
  documents: TokenDocuments,
  { blockSize, eosId }: { blockSize: number; eosId: number },
): Rows {
  checkBlockSize(blockSize);
  const { offsets } = documents;
  const first = offsets[0]!;
  const total = tokenCount(documents) + documentCount(documents); // an eos after each document
  const count = total > 0 ? Math.max(1, Math.floor(total / blockSize)) : 0;
  const tokens = Math.min(count * blockSize, total);

  /** Where document i begins in the joined text. */
  const joinedStart = (i: number): number => offsets[i]! - first + i;
  /** The document that position p of the joined text belongs to, its eos included; documentCount for the end. */
  const documentAt = (p: number): number => {
    let low = 0;
    for (let high = documentCount(documents); low < high;) {
      const middle = Math.ceil((low + high) / 2);
      if (joinedStart(middle) <= p) low = middle;
      else high = middle - 1;
    }
    return low;
  };

  return {
    count,
    tokens,
    droppedTokens: total - tokens,
    async read(index) {
      checkRow(index, count);
      const begin = index * blockSize;
      const length = Math.min(blockSize, tokens - begin);
      const document = documentAt(begin);
      const ends = documentAt(begin + length) - document; // that many documents end in this block
      const ids = await documents.readTokens(first + begin - document, length - ends);
      const block = new Int32Array(length);
      let used = 0;
      let filled = 0;
      for (let i = document; filled < length; i++) {
        const eosAt = joinedStart(i + 1) - 1 - begin;
        const piece = ids.subarray(used, used + Math.min(eosAt, length) - filled);
        block.set(piece, filled);
        used += piece.length;
        filled += piece.length;
        if (filled < length) block[filled++] = eosId;
      }
      return block;
    },
  };
}

/**
 * A row a document, cut after blockSize tokens, without padding: rows are as long as their text, and the -100 that
 * padding would be labelled with has nowhere to stand. (MedicalGPT lets the padding carry loss; that is not repeated.)
 * Documents without any token give no row.
 */
export function padBlocks(documents: TokenDocuments, { blockSize }: { blockSize: number }): Rows {
  checkBlockSize(blockSize);
  const { offsets } = documents;
  const rows: number[] = [];
  let tokens = 0;
  for (let i = 0; i < documentCount(documents); i++) {
    const length = offsets[i + 1]! - offsets[i]!;
    if (length > 0) rows.push(i);
    tokens += Math.min(length, blockSize);
  }
  return {
    count: rows.length,
    tokens,
    droppedTokens: tokenCount(documents) - tokens,
    async read(index) {
      checkRow(index, rows.length);
      return (await readDocument(documents, rows[index]!)).subarray(0, blockSize);
    },
  };
}

function checkBlockSize(blockSize: number): void {
  if (!Number.isSafeInteger(blockSize) || blockSize < 1)
    throw new InputError(`expected block_size to be a positive integer, got ${blockSize}`);
}

function checkRow(index: number, count: number): void {
  if (!Number.isSafeInteger(index) || index < 0 || index >= count)
    throw new MedgptError(`row ${index} was asked for, but there are ${count}`);
}
