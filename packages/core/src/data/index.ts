export type { Batch } from "./packing/batch.js";
export { collate, labelCount, type Row } from "./packing/collate.js";
export { firstRows, type FirstRows } from "./stream/first-rows.js";
export { holdOut } from "./tokens/hold-out.js";
export { listTextFiles } from "./files/list-text-files.js";
export { packLengths } from "./packing/pack-lengths.js";
export { packBlocks, packNeatly, padBlocks, sumOfLongest, type Rows } from "./packing/packing.js";
export type { DocumentPosition } from "./files/read-documents.js";
export { readParquet } from "./files/read-parquet.js";
export type { DataRow, RowFault, SourceRow } from "./files/data-row.js";
export { parseJsonLine, readRows, readRowsOrFaults, refuseHalfPair, ROW_EXTENSIONS } from "./files/read-rows.js";
export type { RowPackerOptions, Sequences } from "./packing/row-packer.js";
export { streamRows, type RowStream } from "./stream/row-stream.js";
export { shuffledOrder, trainTestSplit, validationCount } from "./order/sampler.js";
export { cachedTokens, cacheNote, tokenizeFiles, type TokenCache, type TokenSource } from "./tokens/token-cache.js";
export {
  documentCount,
  documentsInMemory,
  readDocument,
  sliceDocuments,
  type TokenDocuments,
} from "./tokens/token-documents.js";
