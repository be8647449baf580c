/**
 * Streams the documents of text files: a line of .txt, the "text" of a line of .jsonl, of a value of .json or of a row of
 * .parquet. Memory is bounded by the longest line, value or row group. Line breaks are universal in .txt ("\r\n" and "\r"
 * count as "\n"), as in Python's text mode.
 */
import { extname } from "node:path";
import { InputError } from "@medgpt/artifacts";
import { describeJson } from "../../json/read-json-object.js";
import { decodeUtf8, placeWithin, snippet, type Bytes } from "../../text/decode-utf8.js";
import { readJsonLine } from "./json-line.js";
import { readJsonValues } from "../../json/read-json-values.js";
import { readParquet } from "./read-parquet.js";
import { readChunks, splitLines } from "../../text/split-lines.js";

/** Where a document begins, so that reading can go on there. */
export interface DocumentPosition {
  /** Index into the list of files. */
  readonly file: number;
  /** In bytes for .txt and .jsonl; the number of the value in .json and of the row in .parquet, from 0. */
  readonly offset: number;
  /** From 1; of .parquet the row. */
  readonly line: number;
}

export interface TextDocument {
  readonly text: string;
  readonly file: string;
  /** From 1; of .parquet the row. */
  readonly line: number;
  readonly position: DocumentPosition;
}

export interface DocumentReader extends AsyncIterable<TextDocument> {
  /** So far: lines, values and rows without text, which are no documents. */
  readonly skippedBlank: number;
  /** So far, over all files. */
  readonly bytesRead: number;
}

export interface ReadDocumentsOptions {
  /** Whether a .txt document keeps the "\n" at its end (the last line of a file may have none). */
  readonly keepLinebreaks: boolean;
  /** The first document to give, from an earlier reading of the same files. Default: the very first. */
  readonly from?: DocumentPosition | undefined;
}

/** A text, "" where there is none, and where it begins in its file. */
type Text = Omit<DocumentPosition, "file"> & { readonly text: string };
type FileReader = (
  file: string,
  from: Omit<DocumentPosition, "file">,
  options: FileReaderOptions,
) => AsyncIterable<Text>;
type FileReaderOptions = ReadDocumentsOptions & { readonly onBytes: (count: number) => void };

const READERS: Readonly<Record<string, FileReader>> = {
  ".txt": readLines,
  ".jsonl": readLines,
  ".json": readJson,
  ".parquet": readTextColumn,
};

/** The extensions of files that hold text, dots included. */
export const TEXT_EXTENSIONS: readonly string[] = Object.keys(READERS);

/**
 * @throws InputError (from the iteration) at file:line:column for bytes that are not UTF-8, malformed JSON, and a missing
 * or non-string "text"; at file:row for parquet
 */
export function readDocuments(files: readonly string[], options: ReadDocumentsOptions): DocumentReader {
  const first = options.from ?? { file: 0, offset: 0, line: 1 };
  const reader = {
    skippedBlank: 0,
    bytesRead: 0,
    async *[Symbol.asyncIterator](): AsyncGenerator<TextDocument> {
      const onBytes = (count: number): void => void (reader.bytesRead += count);
      for (const [index, file] of files.entries()) {
        if (index < first.file) continue;
        const from = index === first.file ? first : { offset: 0, line: 1 };
        const texts = (READERS[extname(file)] ?? readLines)(file, from, { ...options, onBytes });
        for await (const { text, offset, line } of texts) {
          if (text === "") reader.skippedBlank++;
          else yield { text, file, line, position: { file: index, offset, line } };
        }
      }
    },
  };
  return reader;
}

async function* readLines(
  file: string,
  from: Omit<DocumentPosition, "file">,
  { keepLinebreaks, onBytes }: FileReaderOptions,
): AsyncGenerator<Text> {
  const json = file.endsWith(".jsonl");
  let line = from.line;
  for await (const { bytes, ended, offset } of splitLines(file, json, from.offset, onBytes)) {
    const place = { file, line, column: 1 };
    const text = json ? jsonLine(bytes, place) : decodeUtf8(bytes, place);
    yield { text: !json && keepLinebreaks && ended && text !== "" ? `${text}\n` : text, offset, line };
    line++;
  }
}

/** The "text" of a line of .jsonl, "" for a blank line. */
function jsonLine(bytes: Bytes, place: { file: string; line: number; column: number }): string {
  const read = readJsonLine(bytes, place, 'a JSON object with a string "text"');
  return read === undefined ? "" : textOf(read.value, read.source, place);
}

/** The values of a .json file: objects with a "text", or the strings of a list of strings, as datasets takes them. */
async function* readJson(
  file: string,
  from: Omit<DocumentPosition, "file">,
  { onBytes }: FileReaderOptions,
): AsyncGenerator<Text> {
  let offset = -1;
  for await (const { value, source, inList, line, column } of readJsonValues(readChunks(file, 0, onBytes), file)) {
    if (++offset < from.offset) continue;
    const text = inList && typeof value === "string" ? value : textOf(value, source, { file, line, column });
    yield { text, offset, line };
  }
}

/** @param begin where the source begins */
function textOf(value: unknown, source: string, begin: { file: string; line: number; column: number }): string {
  const text = typeof value === "object" && value !== null ? (value as Record<string, unknown>)["text"] : undefined;
  if (typeof text === "string") return text;
  const got = text === undefined ? snippet(source.trim()) : `"text": ${snippet(describeJson(text))}`;
  throw new InputError(
    `expected a JSON object with a string "text", got ${got}; name the field "text" or convert the file`,
    { place: placeWithin(begin, "") },
  );
}

/** The column "text" of a .parquet file. */
async function* readTextColumn(
  file: string,
  from: Omit<DocumentPosition, "file">,
  { onBytes }: FileReaderOptions,
): AsyncGenerator<Text> {
  const parquet = await readParquet(file);
  const type = parquet.columns.get("text");
  if (type !== "string") {
    const columns = [...parquet.columns].map(([name, kind]) => `${snippet(name)} (${kind})`).join(", ");
    throw new InputError(
      `expected a column "text" of strings, got the columns ${columns || "of an empty schema"}; rename the column or convert the file`,
      { place: file },
    );
  }
  for await (const { rows, firstRow, bytes } of parquet.read({ columns: ["text"], from: from.offset, bytes: true })) {
    for (const [index, row] of rows.entries()) {
      const offset = firstRow + index;
      const text = row["text"];
      const place = `${file}:row ${offset + 1}`;
      if (!(text instanceof Uint8Array))
        throw new InputError('expected a string in the column "text", got null; leave such rows out', { place });
      yield {
        text: decodeUtf8(Buffer.from(text.buffer, text.byteOffset, text.length), place),
        offset,
        line: offset + 1,
      };
    }
    onBytes(bytes);
  }
}
