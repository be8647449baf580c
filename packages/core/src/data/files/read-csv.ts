/**
 * Records of .csv and .tsv files as rows, whose values are all strings, named by the first record. The
 * delimiter is found from that record; blank records are skipped.
 */
import { extname } from "node:path";
import { Readable } from "node:stream";
import { InputError } from "@medgpt/artifacts";
import { CsvError, parse } from "csv-parse";
import { decodeUtf8, snippet, type Bytes } from "../../text/decode-utf8.js";
import type { ReadOptions, RowOrFault } from "./data-row.js";
import { readChunks, splitLines } from "../../text/split-lines.js";

/** Delimiters of cells, with their names in messages. */
const DELIMITERS: ReadonlyMap<string, string> = new Map([
  [",", "commas"],
  [";", "semicolons"],
  ["\t", "tabs"],
  ["|", "vertical bars"],
]);

const MAX_RECORD_BYTES = 256 << 20;

/** A line that was given to the parser: where it begins in what was given. */
interface GivenLine {
  readonly begin: number;
  readonly line: number;
}

/**
 * A record with more or fewer cells than the first is a fault of the row.
 * @throws InputError (from the iteration) at file:line for quotes that do not match and a header that names no columns, at
 * file:line:column for bytes that are not UTF-8; the line is the first one of the record
 */
export async function* readCsv(file: string, { onBytes, onNote }: ReadOptions): AsyncGenerator<RowOrFault> {
  const given: GivenLine[] = []; // those that the parser may still ask for
  const lines = linesOf(file, given, onBytes);
  const first = await lines.next();
  if (first.done === true) return;
  const delimiter = delimiterOf(first.value.toString(), extname(file));
  if (delimiter !== (extname(file) === ".tsv" ? "\t" : ","))
    onNote(`${file}: the cells are separated by ${DELIMITERS.get(delimiter)}`);

  const begins: number[] = []; // the lines of records that were not taken yet
  let end = 0; // of the last record, in what was given
  /** The line that the next record begins on; blank ones before it are no part of it. */
  const nextLine = (): number => {
    while (given.length > 0 && given[0]!.begin < end) given.shift();
    return given[0]?.line ?? 1;
  };
  const parser = parse({
    delimiter,
    record_delimiter: ["\r\n", "\n"],
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: MAX_RECORD_BYTES,
    // Called while the parser reads, before the record is taken from it.
    on_record: (cells, { bytes }) => {
      begins.push(nextLine());
      end = bytes;
      return cells;
    },
  });
  const input = Readable.from(
    (async function* () {
      yield first.value;
      yield* lines;
    })(),
  );
  input.on("error", (error) => parser.destroy(error)).pipe(parser);
  let names: readonly string[] | undefined;
  try {
    for await (const cells of parser as AsyncIterable<string[]>) {
      const line = begins.shift()!;
      if (cells.every((cell) => cell.trim() === "")) continue;
      const place = `${file}:${line}`;
      if (names === undefined) names = checkHeader(cells, place);
      else if (cells.length === names.length)
        yield { row: Object.fromEntries(names.map((name, index) => [name, cells[index]])), line, place };
      else yield { refused: wrongLength(cells, names), place, line, source: { row: cells } };
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error;
    throw new InputError(problemOf(error), { place: `${file}:${nextLine()}`, cause: error });
  } finally {
    input.destroy();
    parser.destroy();
  }
}

/**
 * The lines of the file, each with "\n", checked to be UTF-8. Line by line, so that bytes that are not UTF-8 have a place; a
 * record may go over several of these. Blank ones outside of records take part, but are not remembered.
 */
async function* linesOf(file: string, given: GivenLine[], onBytes: (count: number) => void): AsyncGenerator<Bytes> {
  const onlyReturns = await hasOnlyReturns(file);
  let [line, begin] = [0, 0];
  for await (const { bytes, ended } of splitLines(file, !onlyReturns, 0, onBytes)) {
    decodeUtf8(bytes, { file, line: ++line, column: 1 });
    if (bytes.length > 1 || (bytes.length === 1 && bytes[0] !== 0x0d)) given.push({ begin, line });
    const whole = ended ? Buffer.concat([bytes, Buffer.from("\n")]) : bytes;
    begin += whole.length;
    yield whole;
  }
}

/** Whether lines end as those of old Macs: the beginning of the file has "\r" and no "\n". */
async function hasOnlyReturns(file: string): Promise<boolean> {
  for await (const chunk of readChunks(file)) return chunk.includes(0x0d) && !chunk.includes(0x0a);
  return false;
}

/** The delimiter that gives the header the most cells; where none does, that of the name. */
function delimiterOf(header: string, ending: string): string {
  const usual = ending === ".tsv" ? "\t" : ",";
  const outside = header.replace(/"(?:[^"]|"")*"/g, "");
  const count = (delimiter: string): number => outside.split(delimiter).length;
  return [...DELIMITERS.keys()].reduce((best, next) => (count(next) > count(best) ? next : best), usual);
}

function checkHeader(names: readonly string[], place: string): readonly string[] {
  const trimmed = names.map((name) => name.trim());
  const empty = trimmed.indexOf("");
  if (empty !== -1)
    throw new InputError(
      `expected a name for each column, got none for column ${empty + 1} of ${names.length}; name it, or remove the column`,
      { place },
    );
  const twice = trimmed.find((name, index) => trimmed.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InputError(`expected another name for each column, got ${JSON.stringify(twice)} twice; rename one`, {
      place,
    });
  return trimmed;
}

function wrongLength({ length }: readonly string[], names: readonly string[]): string {
  const cells = `${length} cell${length === 1 ? "" : "s"}`;
  const more = length > names.length;
  const remedy = more ? "put cells with a delimiter in them in quotes" : "add what is missing, or remove the row";
  return `expected ${names.length} cells (${snippet(names.join(", "), 60)}), got ${cells}; ${remedy}`;
}

/** What the parser found, in our words. */
function problemOf({ code }: CsvError): string {
  switch (code) {
    case "CSV_QUOTE_NOT_CLOSED":
      return 'expected CSV, got a row with a quote (") that is not closed before the end of the file; close it, or double it ("") where it is meant';
    case "CSV_INVALID_CLOSING_QUOTE":
      return 'expected CSV, got a row with more text after a cell\'s closing quote ("); double a quote ("") within a quoted cell';
    case "INVALID_OPENING_QUOTE":
      return 'expected CSV, got a row with a quote (") in a cell that does not begin with one; put the whole cell in quotes and double those in it ("")';
    case "CSV_MAX_RECORD_SIZE":
      return `expected rows of at most ${MAX_RECORD_BYTES} bytes, got a longer one; look for a quote that is not closed`;
    default:
      return "expected CSV, got a row that is none; write the file again";
  }
}
