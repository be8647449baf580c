/**
 * Streams the rows of data files as objects: a line of .jsonl, a value of .json, a record of .csv (whose values are all
 * strings, named by its first line), a row of .parquet, and for a line of .txt its `text`. Memory is bounded by the longest
 * row or row group.
 */
import { extname } from "node:path";
import { Readable } from "node:stream";
import { InputError, nestsTooDeeply } from "@medgpt/artifacts";
import { CsvError, parse } from "csv-parse";
import { describeJson, isJsonObject } from "../checkpoint/read-json-object.js";
import { decodeUtf8, snippet } from "./decode-utf8.js";
import { readJsonValues } from "./read-json-values.js";
import { readParquet } from "./read-parquet.js";
import { scanJson } from "./scan-json.js";
import { readChunks, splitLines } from "./split-lines.js";

export type DataRow = Readonly<Record<string, unknown>>;

export interface SourceRow {
  /** As JSON has it, whatever the file: no bytes, dates or bigints. */
  readonly row: DataRow;
  readonly file: string;
  /** From 1: the line that the row begins on, of .parquet the row. */
  readonly line: number;
  /** file:line, or file:row N, for an error. */
  readonly place: string;
}

type OnBytes = (count: number) => void;
type FileReader = (file: string, onBytes: OnBytes) => AsyncIterable<Omit<SourceRow, "file">>;

const READERS: Readonly<Record<string, FileReader>> = {
  ".txt": readTextLines,
  ".jsonl": readJsonLines,
  ".json": readJsonFile,
  ".csv": readCsv,
  ".parquet": readParquetRows,
};

/** The extensions of files that hold rows, dots included. */
export const ROW_EXTENSIONS: readonly string[] = Object.keys(READERS);

/**
 * @param onBytes told of the bytes that were read, over all files
 * @throws InputError (from the iteration) at file:line:column, or file:row N of parquet, for what is no row
 */
export async function* readRows(
  files: readonly string[],
  onBytes: OnBytes = () => undefined,
): AsyncGenerator<SourceRow> {
  for (const file of files) {
    const reader = READERS[extname(file)];
    if (reader === undefined)
      throw new InputError(`expected a file ending in ${ROW_EXTENSIONS.join(", ")}`, { place: file });
    for await (const row of reader(file, onBytes)) yield { ...row, file };
  }
}

/** Blank lines are no rows. */
async function* readTextLines(file: string, onBytes: OnBytes): AsyncGenerator<Omit<SourceRow, "file">> {
  let line = 0;
  for await (const { bytes } of splitLines(file, false, 0, onBytes)) {
    const text = decodeUtf8(bytes, { file, line: ++line, column: 1 });
    if (text.trim() !== "") yield { row: { text }, line, place: `${file}:${line}` };
  }
}

async function* readJsonLines(file: string, onBytes: OnBytes): AsyncGenerator<Omit<SourceRow, "file">> {
  let line = 0;
  for await (const { bytes } of splitLines(file, true, 0, onBytes)) {
    const row = parseJsonLine(bytes, file, ++line);
    if (row !== undefined) yield { row, line, place: `${file}:${line}` };
  }
}

/**
 * The object on a line of .jsonl; undefined for a blank line.
 * @throws InputError at file:line:column for what is neither
 */
export function parseJsonLine(bytes: Buffer, file: string, line: number): DataRow | undefined {
  const source = decodeUtf8(bytes, { file, line, column: 1 });
  let value: unknown;
  try {
    value = JSON.parse(source);
  } catch (cause) {
    if (source.trim() === "") return undefined;
    const at = scanJson(source).errorAt ?? source.length;
    const got = snippet(source.slice(at)) || "the end of the line";
    throw new InputError(`expected a JSON object, got ${got} here; write each object on one line of its own`, {
      place: `${file}:${line}:${[...source.slice(0, at)].length + 1}`,
      cause,
    });
  }
  return checkRow(value, source, `${file}:${line}:1`);
}

async function* readJsonFile(file: string, onBytes: OnBytes): AsyncGenerator<Omit<SourceRow, "file">> {
  for await (const { value, source, inList, line, column } of readJsonValues(readChunks(file, 0, onBytes), file)) {
    // A list of strings is one of texts, as datasets takes it.
    const row =
      inList && typeof value === "string" ? { text: value } : checkRow(value, source, `${file}:${line}:${column}`);
    yield { row, line, place: `${file}:${line}` };
  }
}

function checkRow(value: unknown, source: string, place: string): DataRow {
  // Whoever writes the row again could not: JSON.parse goes deeper than JSON.stringify.
  if (nestsTooDeeply(source))
    throw new InputError("expected a JSON object, got one that is nested too deeply", { place });
  if (isJsonObject(value)) return value;
  throw new InputError(`expected a JSON object, got ${snippet(describeJson(value))}`, { place });
}

type CsvRecord = Readonly<Record<string, string>>;

async function* readCsv(file: string, onBytes: OnBytes): AsyncGenerator<Omit<SourceRow, "file">> {
  const decoded = async function* (): AsyncGenerator<Buffer> {
    // Line by line, so that bytes that are not UTF-8 have a place; a line of csv-parse may go over several of these.
    let line = 0;
    for await (const { bytes, ended } of splitLines(file, true, 0, onBytes)) {
      decodeUtf8(bytes, { file, line: ++line, column: 1 });
      yield ended ? Buffer.concat([bytes, Buffer.from("\n")]) : bytes;
    }
  };
  const parser = parse({
    columns: (names: string[]) => checkHeader(names, file),
    info: true,
    skip_empty_lines: true,
    max_record_size: 256 << 20,
  });
  const input = Readable.from(decoded());
  input.on("error", (error) => parser.destroy(error)).pipe(parser);
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: CsvRecord; info: { lines: number } }>) {
      // It is known where a record ends; its values have the line breaks in it.
      const line = info.lines - Object.values(record).join("").split("\n").length + 1;
      yield { row: record, line, place: `${file}:${line}` };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new InputError(`expected CSV: ${error.message}`, {
      place: `${file}:${String(error["lines"])}`,
      cause: error,
    });
  } finally {
    input.destroy();
    parser.destroy();
  }
}

function checkHeader(names: readonly string[], file: string): string[] {
  const wrong = names.find((name, index) => name === "" || name === "__proto__" || names.indexOf(name) !== index);
  if (wrong === undefined) return [...names];
  throw new InputError(`expected a name for each column, each another, got ${JSON.stringify(wrong)}`, {
    place: `${file}:1`,
  });
}

async function* readParquetRows(file: string, onBytes: OnBytes): AsyncGenerator<Omit<SourceRow, "file">> {
  const parquet = await readParquet(file);
  for await (const { rows, firstRow, bytes } of parquet.read({ bytes: true })) {
    for (const [index, row] of rows.entries()) {
      const line = firstRow + index + 1;
      const place = `${file}:row ${line}`;
      yield { row: plainValue(row, place) as DataRow, line, place };
    }
    onBytes(bytes);
  }
}

/** A value of parquet as JSON has it; missing fields of a struct are null there, as Python's datasets gives them. */
function plainValue(value: unknown, place: string): unknown {
  if (value instanceof Uint8Array)
    return decodeUtf8(Buffer.from(value.buffer, value.byteOffset, value.byteLength), place);
  // JSON has no larger whole numbers than these that every reader takes.
  if (typeof value === "bigint") return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, (item) => plainValue(item, place));
  if (!isJsonObject(value)) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainValue(item, place)]));
}
