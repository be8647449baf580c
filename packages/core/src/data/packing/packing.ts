/**
 * Rows of training text. With packing, documents are joined, each followed by the end-of-text token, and cut into blocks;
 * this is MedicalGPT's group_text_function, except that it starts anew (and drops its remainder) every 1,000 documents,
 * which is an accident of datasets.map, where here the remainder is carried on.
 */
import { InputError, MedgptError } from "@medgpt/artifacts";
import { documentCount, readDocument, tokenCount, type TokenDocuments } from "../tokens/token-documents.js";

export interface Rows {
  readonly count: number;
  /** Over all rows. */
  readonly tokens: number;
  /** Tokens of the `count` longest rows, or as many as they may be. */
  longest(count: number): number;
  /** Tokens that are in no row: the remainder shorter than a block, or what truncation cut off. */
  readonly droppedTokens: number;
  /** Ids of a row. Labels are the ids themselves: every token carries loss. */
  read(index: number): Promise<Int32Array>;
  /** The same as the sequences that the row consists of: one, or with neat packing one a document. */
  readSequences(index: number): Promise<Int32Array[]>;
}

export interface PackOptions {
  readonly blockSize: number;
  /** Ends each document. */
  readonly eosId: number;
}

/**
 * Blocks of exactly blockSize tokens. Text that is shorter than one block makes one short block; otherwise the remainder
 * is dropped and counted. Nothing is held in memory: a block is read where it lies.
 */
export function packBlocks(documents: TokenDocuments, { blockSize, eosId }: PackOptions): Rows {
  checkBlockSize(blockSize);
  const text = joinDocuments(documents, eosId);
  const count = text.length > 0 ? Math.max(1, Math.floor(text.length / blockSize)) : 0;
  const tokens = Math.min(count * blockSize, text.length);
  const read = async (index: number): Promise<Int32Array> => {
    checkRow(index, count);
    const begin = index * blockSize;
    return text.read(begin, Math.min(blockSize, tokens - begin));
  };
  return {
    count,
    tokens,
    longest: (rows) => Math.min(tokens, rows * blockSize),
    droppedTokens: text.length - tokens,
    read,
    readSequences: async (index) => [await read(index)],
  };
}

/**
 * Rows of at most blockSize tokens that hold whole documents, each of which is a sequence of its own (attention and
 * positions begin anew with it). A document that does not fit into what is left of a row begins the next one; one longer
 * than blockSize, its end-of-text token included, is cut into rows of its own, and other documents may follow its last piece.
 */
export function packNeatly(documents: TokenDocuments, { blockSize, eosId }: PackOptions): Rows {
  checkBlockSize(blockSize);
  const text = joinDocuments(documents, eosId);
  const starts: number[] = []; // of the rows in the joined text
  let used = 0; // tokens in the open row
  for (let i = 0; i < documentCount(documents); i++) {
    const end = text.startOf(i + 1);
    let begin = text.startOf(i);
    if (used + end - begin > blockSize) used = 0;
    while (begin < end) {
      if (used === 0) starts.push(begin);
      const part = Math.min(end - begin, blockSize - used);
      begin += part;
      used = (used + part) % blockSize;
    }
  }
  const bounds = (index: number): [begin: number, end: number] => {
    checkRow(index, starts.length);
    return [starts[index]!, starts[index + 1] ?? text.length];
  };
  const read = async (index: number): Promise<Int32Array> => {
    const [begin, end] = bounds(index);
    return text.read(begin, end - begin);
  };
  return {
    count: starts.length,
    tokens: text.length,
    longest: (rows) => Math.min(text.length, rows * blockSize),
    droppedTokens: 0,
    read,
    readSequences: async (index) => {
      const [begin, end] = bounds(index);
      const ids = await read(index);
      const sequences: Int32Array[] = [];
      let from = begin;
      for (let document = text.documentAt(begin); from < end; document++) {
        const to = Math.min(text.startOf(document + 1), end);
        sequences.push(ids.subarray(from - begin, to - begin));
        from = to;
      }
      return sequences;
    },
  };
}

interface JoinedText {
  readonly length: number;
  /** Where document i begins; for the number of documents, the length. */
  startOf(document: number): number;
  /** The document that a position belongs to, its end-of-text token included; the number of documents for the end. */
  documentAt(position: number): number;
  read(begin: number, length: number): Promise<Int32Array>;
}

/** All documents as one text, each followed by the end-of-text token, read where they lie. */
function joinDocuments(documents: TokenDocuments, eosId: number): JoinedText {
  const { offsets } = documents;
  const first = offsets[0]!;
  const startOf = (document: number): number => offsets[document]! - first + document;
  const documentAt = (position: number): number => {
    let low = 0;
    for (let high = documentCount(documents); low < high;) {
      const middle = Math.ceil((low + high) / 2);
      if (startOf(middle) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  };
  return {
    length: tokenCount(documents) + documentCount(documents),
    startOf,
    documentAt,
    async read(begin, length) {
      const document = documentAt(begin);
      const ends = documentAt(begin + length) - document; // that many documents end here
      const ids = await documents.readTokens(first + begin - document, length - ends);
      const joined = new Int32Array(length);
      let used = 0;
      let filled = 0;
      for (let i = document; filled < length; i++) {
        const eosAt = startOf(i + 1) - 1 - begin;
        const piece = ids.subarray(used, used + Math.min(eosAt, length) - filled);
        joined.set(piece, filled);
        used += piece.length;
        filled += piece.length;
        if (filled < length) joined[filled++] = eosId;
      }
      return joined;
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
  const lengths = new Float64Array(documentCount(documents));
  let tokens = 0;
  for (let i = 0; i < documentCount(documents); i++) {
    const length = offsets[i + 1]! - offsets[i]!;
    if (length > 0) rows.push(i);
    tokens += lengths[i] = Math.min(length, blockSize);
  }
  const read = async (index: number): Promise<Int32Array> => {
    checkRow(index, rows.length);
    return (await readDocument(documents, rows[index]!)).subarray(0, blockSize);
  };
  return {
    count: rows.length,
    tokens,
    longest: (count) => sumOfLongest(lengths, count),
    droppedTokens: tokenCount(documents) - tokens,
    read,
    readSequences: async (index) => [await read(index)],
  };
}

/** The sum of the `count` greatest lengths. */
export function sumOfLongest(lengths: ArrayLike<number>, count: number): number {
  const sorted = Float64Array.from(lengths).sort();
  return sorted.subarray(Math.max(0, sorted.length - count)).reduce((sum, length) => sum + length, 0);
}

function checkBlockSize(blockSize: number): void {
  if (!Number.isSafeInteger(blockSize) || blockSize < 1)
    throw new InputError(`expected block_size to be a positive integer, got ${blockSize}`);
}

function checkRow(index: number, count: number): void {
  if (!Number.isSafeInteger(index) || index < 0 || index >= count)
    throw new MedgptError(`row ${index} was asked for, but there are ${count}`);
}
