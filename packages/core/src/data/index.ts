export { collate, labelCount, type Row } from "./collate.js";
export { listTextFiles, type TextFiles } from "./list-text-files.js";
export { packBlocks, padBlocks, type Rows } from "./packing.js";
export {
  readDocuments,
  type DocumentPosition,
  type DocumentReader,
  type ReadDocumentsOptions,
  type TextDocument,
} from "./read-documents.js";
export { readParquet, type ParquetFile, type ParquetRow, type ParquetRows } from "./read-parquet.js";
export { epochOrder, torchRandperm, validationCount } from "./sampler.js";
export { scanJson, type JsonScan } from "./scan-json.js";
export { tokenizeFiles, type TokenCache, type TokenCacheOptions } from "./token-cache.js";
export {
  documentCount,
  documentsInMemory,
  readDocument,
  sliceDocuments,
  tokenCount,
  type TokenDocuments,
} from "./token-documents.js";
