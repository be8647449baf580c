export { collate, labelCount, type Row } from "./collate.js";
export { describeJson } from "../checkpoint/read-json-object.js";
export { decodeUtf8, placeWithin, snippet, type Bytes } from "./decode-utf8.js";
export { halfPairs, JsonNumber, parseJson, stringifyJson } from "./exact-json.js";
export { checkIsText } from "./file-kind.js";
export { firstRows, type FirstRows } from "./first-rows.js";
export { holdsJsonTexts, jsonInText } from "./holds-json-texts.js";
export { listTextFiles, type TextFiles } from "./list-text-files.js";
export { packLengths } from "./pack-lengths.js";
export { packBlocks, packNeatly, padBlocks, sumOfLongest, type PackOptions, type Rows } from "./packing.js";
export {
  readDocuments,
  type DocumentPosition,
  type DocumentReader,
  type ReadDocumentsOptions,
  type TextDocument,
} from "./read-documents.js";
export { readJsonValues, type JsonValue } from "./read-json-values.js";
export { readParquet, type ParquetFile, type ParquetRow, type ParquetRows } from "./read-parquet.js";
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
} from "./read-rows.js";
export type { Packing, RowPackerOptions, Sequences } from "./row-packer.js";
export { readChunks, splitLines } from "./split-lines.js";
export { streamRows, type RowStream, type RowStreamOptions, type StreamedRows } from "./row-stream.js";
export { epochOrder, shuffledOrder, torchRandperm, trainTestSplit, validationCount } from "./sampler.js";
export { scanJson, type JsonScan } from "./scan-json.js";
export {
  cachedTokens,
  cacheNote,
  tokenizeFiles,
  type TokenCache,
  type TokenCacheOptions,
  type TokenizeFilesOptions,
  type TokenSource,
} from "./token-cache.js";
export {
  documentCount,
  documentsInMemory,
  readDocument,
  sliceDocuments,
  tokenCount,
  type TokenDocuments,
} from "./token-documents.js";
