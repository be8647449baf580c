import type { Tokenizer } from "../../tokenizer/tokenizer.js";
import { sumOfLongest, type Rows } from "../packing/packing.js";
import { readDocuments, type DocumentPosition } from "../files/read-documents.js";
import { joinIds, RowPacker, type RowPackerOptions, type Sequences } from "../packing/row-packer.js";

export interface FirstRows {
  /** In memory. */
  readonly rows: Rows;
  /** The first document after those that were read; undefined where they are all. */
  readonly next: DocumentPosition | undefined;
}

/**
 * The first `count` rows of text files, of which no more is read, and where the text goes on: datasets' take() and skip().
 * @throws InputError for malformed text (see readDocuments)
 */
export async function firstRows(
  files: readonly string[],
  tokenizer: Tokenizer,
  options: RowPackerOptions & { readonly keepLinebreaks: boolean; readonly count: number },
): Promise<FirstRows> {
  const packer = new RowPacker(options);
  const rows: Sequences[] = [];
  let next: DocumentPosition | undefined;
  for await (const { text, position } of readDocuments(files, options)) {
    if (rows.length >= options.count) {
      next = position;
      break;
    }
    for (const ids of await tokenizer.encodeBatch([text])) rows.push(...packer.add(ids));
  }
  if (options.packing === "neat" || rows.length === 0) rows.push(...packer.finish());
  rows.splice(options.count);
  const lengths = rows.map((sequences) => sequences.reduce((sum, { length }) => sum + length, 0));
  return {
    rows: {
      count: rows.length,
      tokens: lengths.reduce((sum, length) => sum + length, 0),
      longest: (count) => sumOfLongest(lengths, count),
      droppedTokens: 0,
      read: (index) => Promise.resolve(joinIds(rows[index]!)),
      readSequences: (index) => Promise.resolve([...rows[index]!]),
    },
    next,
  };
}
