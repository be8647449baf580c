/** Reads .parquet files a row group at a time, so that memory is bounded by the largest one. */
import { open, type FileHandle } from "node:fs/promises";
import { InputError, MedgptError } from "@medgpt/artifacts";
import {
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type AsyncBuffer,
  type RowGroup,
  type SchemaTree,
} from "hyparquet";
import { deserializeTCompactProtocol } from "hyparquet/src/thrift.js";
import { compressors } from "hyparquet-compressors";

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

/** @throws InputError, also from the iteration, where the file cannot be read or is damaged */
export async function readParquet(file: string): Promise<ParquetFile> {
  const metadata = await withFile(file, (buffer) => parquetMetadataAsync(buffer, { geoparquet: false }));
  const schema = await withFile(file, () => Promise.resolve(parquetSchema(metadata)));
  return {
    columns: new Map(schema.children.map((column) => [column.element.name, kindOf(column)])),
    rowCount: Number(metadata.num_rows),
    async *read({ columns, from = 0, bytes: asBytes = false } = {}) {
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
          await checkPages(buffer, group, columns);
          return parquetReadObjects({
            file: buffer,
            metadata,
            rowStart: firstRow,
            rowEnd: end,
            compressors,
            utf8: false, // bytes that are not said to be text stay bytes
            ...(columns && { columns: [...columns] }),
            // The library fills in the other parsers.
            ...(asBytes && { parsers: { stringFromBytes: (bytes: Uint8Array) => bytes } }),
          });
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

function kindOf({ element, children }: SchemaTree): string {
  if (children.length > 0) return element.converted_type?.toLowerCase() ?? "struct";
  if (element.repetition_type === "REPEATED") return "list";
  if (element.converted_type === "UTF8" || element.logical_type?.type === "STRING") return "string";
  return (element.converted_type ?? element.logical_type?.type ?? element.type ?? "unknown").toLowerCase();
}

/**
 * Looks at the page headers of columns without lists, whose numbers of values the library makes room for as they say.
 * @throws RangeError where a page says that it has more values than the row group has rows
 */
async function checkPages(file: AsyncBuffer, group: RowGroup, columns: readonly string[] | undefined): Promise<void> {
  for (const { meta_data: column } of group.columns) {
    if (column === undefined || column.path_in_schema.length > 1) continue;
    if (columns !== undefined && !columns.includes(column.path_in_schema[0]!)) continue;
    const begin = Number(column.dictionary_page_offset || column.data_page_offset);
    const bytes = await file.slice(begin, begin + Number(column.total_compressed_size));
    const reader = { view: new DataView(bytes), offset: 0 };
    while (reader.offset < bytes.byteLength - 1) {
      // PageHeader of parquet.thrift: 3 is compressed_page_size; 5 and 8 are headers of data pages, whose 1 is num_values.
      const header = deserializeTCompactProtocol(reader) as Record<string, unknown>;
      const pages = [header["field_5"], header["field_8"]] as ({ field_1?: unknown } | undefined)[];
      for (const page of pages)
        if (page !== undefined && !(Number(page.field_1) <= Number(group.num_rows)))
          throw new RangeError(`a page of ${String(page.field_1)} values in a row group of ${group.num_rows} rows`);
      const size = header["field_3"];
      if (typeof size !== "number" || size < 0) throw new RangeError(`a page of ${String(size)} bytes`);
      reader.offset += size;
    }
  }
}

/** Lets the library read the file, whose complaints become ours. */
async function withFile<T>(file: string, read: (buffer: AsyncBuffer) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(file, "r");
    const { size } = await handle.stat();
    const opened = handle;
    return await read({ byteLength: size, slice: (start, end = size) => readRange(opened, start, end, size) });
  } catch (cause) {
    if (cause instanceof MedgptError) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code !== undefined && handle === undefined)
      throw new InputError(`cannot be read (${message})`, { place: file, cause });
    throw damaged(file, message, cause);
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
  return new InputError(`expected a parquet file, but it cannot be decoded (${what}); fetch or write it again`, {
    place: file,
    cause,
  });
}
