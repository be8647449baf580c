/**
 * Streams the rows of data files as objects: a line of .jsonl, a value of .json, a record of .csv and .tsv (whose values are
 * all strings, named by its first line), a row of .parquet, and for a line of .txt its `text`. Memory is bounded by the longest
 * row or row group.
 */
import { isUtf8 } from "node:buffer";
import { extname } from "node:path";
import { InputError, nestsTooDeeply } from "@medgpt/artifacts";
import { describeJson, isJsonObject } from "../../json/read-json-object.js";
import { decodeUtf8, snippet, type Bytes } from "../../text/decode-utf8.js";
import { halfPairError, parseJson } from "../../json/exact-json.js";
import { holdsJsonTexts, jsonInText } from "../../json/holds-json-texts.js";
import { readJsonLine } from "./json-line.js";
import { readCsv } from "./read-csv.js";
import { readJsonValues } from "../../json/read-json-values.js";
import type { DataRow, ReadOptions, RowFault, RowOrFault, SourceRow } from "./data-row.js";
import { readParquet } from "./read-parquet.js";
import { plainValue } from "./plain-value.js";
import { readChunks, splitLines } from "../../text/split-lines.js";

/** For rows that are written again: nobody else could read them. */
export const refuseHalfPair: ReadOptions["onHalfPair"] = (error) => {
  throw error;
};

const DEFAULTS: ReadOptions = { onBytes: () => undefined, onNote: () => undefined, onHalfPair: () => undefined };

type FileReader = (file: string, options: ReadOptions) => AsyncIterable<RowOrFault>;

const READERS: Readonly<Record<string, FileReader>> = {
  ".txt": readTextLines,
  ".jsonl": readJsonLines,
  ".json": readJsonFile,
  ".csv": readCsv,
  ".tsv": readCsv,
  ".parquet": readParquetRows,
};

/** The extensions of files that hold rows, dots included. */
export const ROW_EXTENSIONS: readonly string[] = Object.keys(READERS);

/** @throws InputError (from the iteration) as `readRowsOrFaults` does, and for a fault */
export async function* readRows(
  files: readonly string[],
  options: Partial<ReadOptions> = {},
): AsyncGenerator<SourceRow> {
  for await (const read of readRowsOrFaults(files, options)) {
    if ("refused" in read) throw new InputError(read.refused, { place: read.place });
    yield read;
  }
}

/**
 * Rows and faults: a fault stands for a row that cannot be read, if the rows after it can.
 * @throws InputError (from the iteration) at file:line:column, or file:row N of parquet, for what nothing can be read after
 */
export async function* readRowsOrFaults(
  files: readonly string[],
  options: Partial<ReadOptions> = {},
): AsyncGenerator<SourceRow | RowFault> {
  for (const file of files) {
    const reader = READERS[extname(file)];
    if (reader === undefined)
      throw new InputError(`expected a file ending in ${ROW_EXTENSIONS.join(", ")}`, { place: file });
    for await (const read of reader(file, { ...DEFAULTS, ...options })) yield { ...read, file };
  }
}

/** The row that `read` gives, or the fault that it throws. */
function rowOrFault(read: () => DataRow, file: string, line: number, source: () => RowFault["source"]): RowOrFault {
  try {
    return { row: read(), line, place: `${file}:${line}` };
  } catch (error) {
    if (!(error instanceof InputError) || error.place === undefined) throw error;
    return { refused: error.message.slice(error.place.length + 2), place: error.place, line, source: source() };
  }
}

/** Bytes in the form in which they are kept to be repaired. */
function bytesOrText(bytes: Bytes): RowFault["source"] {
  return isUtf8(bytes) ? { text: bytes.toString("utf8") } : { base64: bytes.toString("base64") };
}

/** Blank lines are no rows. */
async function* readTextLines(file: string, { onBytes, onNote }: ReadOptions): AsyncGenerator<RowOrFault> {
  if (await holdsJsonTexts(file)) onNote(jsonInText(file));
  let line = 0;
  for await (const { bytes } of splitLines(file, false, 0, onBytes)) {
    line++;
    const read = rowOrFault(
      () => ({ text: decodeUtf8(bytes, { file, line, column: 1 }) }),
      file,
      line,
      () => bytesOrText(bytes),
    );
    if ("refused" in read || (read.row["text"] as string).trim() !== "") yield read;
  }
}

async function* readJsonLines(file: string, { onBytes, onHalfPair }: ReadOptions): AsyncGenerator<RowOrFault> {
  let line = 0;
  for await (const { bytes } of splitLines(file, true, 0, onBytes)) {
    line++;
    let blank = false;
    const read = rowOrFault(
      () => {
        const row = parseJsonLine(bytes, file, line, { parse: parseJson, onHalfPair });
        blank = row === undefined;
        return row ?? {};
      },
      file,
      line,
      () => bytesOrText(bytes),
    );
    if (!blank) yield read;
  }
}

/**
 * The object on a line of .jsonl; undefined for a blank line.
 * @param parse JSON.parse, or parseJson where the row is written again
 * @throws InputError at file:line:column for what is neither
 */
export function parseJsonLine(
  bytes: Bytes,
  file: string,
  line: number,
  { parse, onHalfPair }: Pick<ReadOptions, "onHalfPair"> & { readonly parse?: (text: string) => unknown },
): DataRow | undefined {
  const read = readJsonLine(bytes, { file, line }, "a JSON object", parse);
  return read && checkRow(read.value, read.source, { file, line, column: 1 }, onHalfPair);
}

async function* readJsonFile(file: string, { onBytes, onHalfPair }: ReadOptions): AsyncGenerator<RowOrFault> {
  for await (const { value, source, inList, line, column } of readJsonValues(
    readChunks(file, 0, onBytes),
    file,
    parseJson,
  )) {
    // A list of strings is one of texts, as datasets takes it.
    const given = inList && typeof value === "string" ? { text: value } : value;
    yield rowOrFault(
      () => checkRow(given, source, { file, line, column }, onHalfPair),
      file,
      line,
      () => ({ text: source }),
    );
  }
}

function checkRow(
  value: unknown,
  source: string,
  begin: { file: string; line: number; column: number },
  onHalfPair: ReadOptions["onHalfPair"],
): DataRow {
  const place = `${begin.file}:${begin.line}:${begin.column}`;
  // Whoever writes the row again could not: JSON.parse goes deeper than JSON.stringify.
  if (nestsTooDeeply(source))
    throw new InputError("expected a JSON object, got one that is nested too deeply", { place });
  const half = halfPairError(source, begin);
  if (half !== undefined) onHalfPair(half);
  if (isJsonObject(value)) return value;
  throw new InputError(`expected a JSON object, got ${snippet(describeJson(value))}`, { place });
}

async function* readParquetRows(file: string, { onBytes }: ReadOptions): AsyncGenerator<RowOrFault> {
  const parquet = await readParquet(file);
  for await (const { rows, firstRow, bytes } of parquet.read({ bytes: true, exact: true })) {
    for (const [index, row] of rows.entries()) {
      const line = firstRow + index + 1;
      const place = `${file}:row ${line}`;
      yield { row: plainValue(row, place) as DataRow, line, place };
    }
    onBytes(bytes);
  }
}
