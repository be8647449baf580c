/** Reads .parquet files a row group at a time, so that memory is bounded by the largest one. */
import { open, type FileHandle } from "node:fs/promises";
import { InputError, MedgptError, readError } from "@medgpt/artifacts";
import {
  parquetMetadataAsync,
  parquetRead,
  parquetSchema,
  type AsyncBuffer,
  type FileMetaData,
  type RowGroup,
  type SchemaTree,
} from "hyparquet";
import { checkPages, decompressors, skipStruct } from "./check-parquet.js";
import { snippet } from "../../text/decode-utf8.js";
import { checkColumnsAreKept, exactColumns, exactParsers, withoutDecimals } from "./parquet-values.js";

export type ParquetRow = Readonly<Record<string, unknown>>;

export interface ParquetRows {
  readonly rows: readonly ParquetRow[];
  /** The number of the first of them in the file, from 0. */
  readonly firstRow: number;
  /** How much of the file they take. */
  readonly bytes: number;
}

export interface ReadParquetOptions {
  /** Default: all. */
  readonly columns?: readonly string[];
  /** The first row to give. Default: 0. */
  readonly from?: number;
  /** Whether strings are given as their bytes, so that the caller can tell which of them are not UTF-8. */
  readonly bytes?: boolean;
  /** Whether times come as text, and decimals and whole numbers of floating point as JsonNumbers, so that nothing is lost. */
  readonly exact?: boolean;
}

export interface ParquetFile {
  /** The columns at the top level with what they hold: "string", or the name of a parquet type, in lower case. */
  readonly columns: ReadonlyMap<string, string>;
  readonly rowCount: number;
  /** The rows of a row group at a time; a missing value is null or undefined, an int64 a bigint. */
  read(options?: ReadParquetOptions): AsyncGenerator<ParquetRows>;
}

/**
 * Rows in a row group, which are in memory together. Writers make groups of at most some million; the bound keeps a small
 * file that claims billions from taking all memory.
 */
const MAX_GROUP_ROWS = 1 << 24;

/** Values in lists in a row group, likewise. */
const MAX_LIST_VALUES = 1 << 27;

/** @throws InputError, also from the iteration, where the file cannot be read or is damaged */
export async function readParquet(file: string): Promise<ParquetFile> {
  const metadata = await withFile(file, (buffer) => readMetadata(buffer, file));
  const schema = await withFile(file, () => Promise.resolve(parquetSchema(metadata)));
  return {
    columns: new Map(schema.children.map((column) => [column.element.name, kindOf(column)])),
    rowCount: Number(metadata.num_rows),
    async *read({ columns, from = 0, bytes: asBytes = false, exact = false } = {}) {
      const names = columns ?? schema.children.map(({ element }) => element.name);
      if (exact) checkColumnsAreKept(schema, names, file);
      let end = 0;
      for (const group of metadata.row_groups) {
        const begin = end;
        end += Number(group.num_rows);
        if (end <= from || end === begin) continue;
        const firstRow = Math.max(begin, from);
        if (end - begin > MAX_GROUP_ROWS)
          throw new InputError(
            `expected row groups of at most ${MAX_GROUP_ROWS} rows, got one of ${end - begin}; write it in smaller ones`,
            { place: file },
          );
        const rows = await withFile(file, async (buffer) => {
          await checkColumns(buffer, group, schema, columns);
          let found: unknown[][] = [];
          await parquetRead({
            file: buffer,
            metadata: exact ? { ...metadata, schema: withoutDecimals(metadata.schema) } : metadata,
            rowStart: firstRow,
            rowEnd: end,
            compressors: decompressors,
            utf8: false, // bytes that are not said to be text stay bytes
            columns: [...names],
            // The library fills in the other parsers.
            parsers: { ...(exact && exactParsers), ...(asBytes && { stringFromBytes: (bytes: Uint8Array) => bytes }) },
            // As lists: the library's objects cannot have a column of the name __proto__.
            onComplete: (lists) => (found = lists),
          });
          return asRows(found, names, exact ? exactColumns(schema, names) : []);
        });
        if (rows.length !== end - firstRow)
          throw damaged(file, `a row group has ${rows.length} rows and should have ${end - firstRow}`);
        const bytes = group.columns.reduce(
          (sum, { meta_data }) => sum + Number(meta_data?.total_compressed_size ?? 0),
          0,
        );
        yield { rows, firstRow, bytes };
      }
    },
  };
}

/** @param exact what becomes of the values of a column; undefined where they stay as they are */
function asRows(
  lists: readonly (readonly unknown[])[],
  names: readonly string[],
  exact: ReturnType<typeof exactColumns>,
): ParquetRow[] {
  return lists.map((values) =>
    Object.fromEntries(names.map((name, index) => [name, exact[index]?.(values[index]) ?? values[index]])),
  );
}

function kindOf({ element, children }: SchemaTree): string {
  if (children.length > 0) return element.converted_type?.toLowerCase() ?? "struct";
  if (element.repetition_type === "REPEATED") return "list";
  if (element.converted_type === "UTF8" || element.logical_type?.type === "STRING") return "string";
  return (element.converted_type ?? element.logical_type?.type ?? element.type ?? "unknown").toLowerCase();
}

/** @throws RangeError if sizes or offsets in the file would make the library read wrong data */
async function readMetadata(file: AsyncBuffer, place: string): Promise<FileMetaData> {
  if (file.byteLength < 12) throw new RangeError(`${file.byteLength} bytes are too few`);
  const end = new DataView(await file.slice(file.byteLength - 8));
  const magic = Buffer.from(end.buffer, 4, 4).toString("latin1");
  if (magic === "PARE")
    throw new InputError("expected a parquet file without encryption, got an encrypted one; decrypt it", { place });
  if (magic !== "PAR1") throw new RangeError('it does not end with "PAR1"');
  const length = end.getUint32(0, true);
  const begin = file.byteLength - 8 - length;
  if (begin < 4) throw new RangeError(`metadata of ${length} bytes in a file of ${file.byteLength}`);
  skipStruct({ view: new DataView(await file.slice(begin, begin + length)), offset: 0 });
  const metadata = await parquetMetadataAsync(file, { geoparquet: false });
  if (metadata.schema.some(({ name }) => typeof name !== "string")) throw new RangeError("a column without a name");
  let rows = 0n;
  for (const { num_rows } of metadata.row_groups) {
    if (typeof num_rows !== "bigint" || num_rows < 0n) throw new RangeError(`a row group of ${String(num_rows)} rows`);
    rows += num_rows;
  }
  if (rows !== metadata.num_rows)
    throw new RangeError(`${String(metadata.num_rows)} rows, of which the row groups have ${rows}`);
  return metadata;
}

async function checkColumns(
  file: AsyncBuffer,
  { columns: chunks, num_rows }: RowGroup,
  schema: SchemaTree,
  columns: readonly string[] | undefined,
): Promise<void> {
  for (const { meta_data: column } of chunks) {
    if (column === undefined || (columns !== undefined && !columns.includes(column.path_in_schema[0]!))) continue;
    const levels = { definition: 0, repetition: schema.element.repetition_type === "REPEATED" ? 1 : 0 };
    let node: SchemaTree | undefined = schema;
    for (const name of column.path_in_schema) {
      node = node.children.find((child) => child.element.name === name);
      if (node === undefined) throw new RangeError("a column that is not in the schema");
      if (node.element.repetition_type !== "REQUIRED") levels.definition++;
      if (node.element.repetition_type === "REPEATED") levels.repetition++;
    }
    const begin = Number(column.dictionary_page_offset || column.data_page_offset);
    const bytes = await file.slice(begin, begin + Number(column.total_compressed_size));
    checkPages(bytes, column, levels, levels.repetition > 0 ? MAX_LIST_VALUES : Number(num_rows));
  }
}

/** Lets the library read the file, whose complaints become ours. */
async function withFile<T>(file: string, read: (buffer: AsyncBuffer) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    const stats = await handle.stat();
    if (stats.isDirectory())
      throw new InputError("expected a file, got a folder; name the files in it", { place: file });
    const { size } = stats;
    const opened = handle;
    return await read({ byteLength: size, slice: (start, end = size) => readRange(opened, start, end, size) });
  } catch (cause) {
    if (cause instanceof MedgptError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== undefined) throw readError(cause, file);
    // Where the library comes upon a part that is missing, the message is of its code.
    throw damaged(file, cause instanceof TypeError ? "a part of it is missing" : message, cause);
  } finally {
    await handle?.close();
  }
}

/** Offsets come from the file and may lie anywhere. */
async function readRange(handle: FileHandle, start: number, end: number, size: number): Promise<ArrayBuffer> {
  if (!(0 <= start && start <= end && end <= size))
    throw new RangeError(`bytes ${start} to ${end} of a file of ${size} bytes are asked for`);
  const bytes = new Uint8Array(end - start);
  for (let done = 0; done < bytes.length;) {
    const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) throw new RangeError("the file became shorter while it was read");
    done += bytesRead;
  }
  return bytes.buffer;
}

function damaged(file: string, what: string, cause?: unknown): InputError {
  return new InputError(
    `expected a parquet file, but it cannot be decoded (${snippet(what, 200)}); fetch or write it again`,
    {
      place: file,
      cause,
    },
  );
}
