export type { Batch } from "./packing/batch.js";
export { collate, labelCount, type Row } from "./packing/collate.js";
export { firstRows, type FirstRows } from "./stream/first-rows.js";
export { holdOut } from "./tokens/hold-out.js";
export { listTextFiles, type TextFiles } from "./files/list-text-files.js";
export { packLengths } from "./packing/pack-lengths.js";
export { packBlocks, packNeatly, padBlocks, sumOfLongest, type PackOptions, type Rows } from "./packing/packing.js";
export {
  readDocuments,
  type DocumentPosition,
  type DocumentReader,
  type ReadDocumentsOptions,
  type TextDocument,
} from "./files/read-documents.js";
export { readParquet, type ParquetFile, type ParquetRow, type ParquetRows } from "./files/read-parquet.js";
export {
  parseJsonLine,
  readRows,
  readRowsOrFaults,
  refuseHalfPair,
  ROW_EXTENSIONS,
  type DataRow,
  type ReadOptions,
  type RowFault,
  type SourceRow,
} from "./files/read-rows.js";
export type { Packing, RowPackerOptions, Sequences } from "./packing/row-packer.js";
export { streamRows, type RowStream, type RowStreamOptions, type StreamedRows } from "./stream/row-stream.js";
export { epochOrder, shuffledOrder, torchRandperm, trainTestSplit, validationCount } from "./order/sampler.js";
export {
  cachedTokens,
  cacheNote,
  tokenizeFiles,
  type TokenCache,
  type TokenCacheOptions,
  type TokenizeFilesOptions,
  type TokenSource,
} from "./tokens/token-cache.js";
export {
  documentCount,
  documentsInMemory,
  readDocument,
  sliceDocuments,
  tokenCount,
  type TokenDocuments,
} from "./tokens/token-documents.js";
