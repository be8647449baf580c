import { InputError } from "@medgpt/artifacts";
import { readRowsOrFaults, refuseHalfPair, type DataRow, type RowFault, type SourceRow } from "@medgpt/core/data";

import { describe, detectFormat, usualFormat, type Detected } from "./detect-format.js";
import type { Example } from "./example.js";
import type { Format } from "./format.js";
import { RefusedRow } from "./refused-row.js";
import { usableExample } from "./usable-example.js";

/** A row of a file with its example, or with the reason why it has none and its source. */
export type ReadExample = Pick<SourceRow, "file" | "line" | "place"> & {
  readonly source: RowFault["source"];
} & ({ readonly example: Example } | { readonly refused: string });

export interface ReadExamplesOptions {
  /** Read every row so, instead of telling the format by the columns. */
  readonly from?: Format | undefined;
  /** Called at the first row of all that has a format. */
  readonly onFormat?: ((found: Detected, place: string) => void) | undefined;
  /** Called with every row before it is read; what it throws ends the reading. */
  readonly onRow?: ((source: SourceRow) => void) | undefined;
  /** Told of contents that do not fit the name of a file. */
  readonly onNote?: ((text: string) => void) | undefined;
}

/** The number of rows from which the format is judged. */
export const FIRST_ROWS = 100;

/**
 * The rows of files, all in the format that most of the first rows have. A fault of a single row is reported with that row.
 * @throws InputError (from the iteration) for rows of different formats, naming both, and as readRowsOrFaults does
 */
export async function* readExamples(
  files: readonly string[],
  { from, onFormat, onRow, onNote = () => undefined }: ReadExamplesOptions = {},
): AsyncGenerator<ReadExample> {
  let usual: Detected | undefined;
  let first: (Detected & { place: string }) | undefined;
  const detect = ({ row, place }: SourceRow): Detected => {
    const found = from === undefined ? detectFormat(row, usual) : { format: from, columns: from.matches(row) ?? [] };
    if (first === undefined) {
      first = { ...found, place };
      onFormat?.(found, place);
    }
    if (found.format === first.format) return found;
    throw new InputError(
      `expected ${describe(first)} as at ${first.place}, got ${describe(found)}; convert them one by one`,
      { place },
    );
  };
  const read = (each: SourceRow | RowFault): ReadExample => {
    if ("refused" in each) return each;
    const { row, ...place } = each;
    const source = { row };
    onRow?.(each);
    try {
      return { ...place, source, example: usableExample(detect(each).format.read(row)) };
    } catch (error) {
      if (!(error instanceof RefusedRow)) throw error;
      return { ...place, source, refused: error.message };
    }
  };
  let ahead: (SourceRow | RowFault)[] | undefined = [];
  const takeAhead = (): ReadExample[] => {
    const taken = ahead ?? [];
    ahead = undefined;
    usual = usualFormat(taken.flatMap((each): DataRow[] => ("refused" in each ? [] : [each.row])));
    return taken.map(read);
  };
  for await (const each of readRowsOrFaults(files, { onNote, onHalfPair: refuseHalfPair })) {
    if (ahead === undefined) yield read(each);
    else if (ahead.push(each) === FIRST_ROWS) yield* takeAhead();
  }
  if (ahead !== undefined) yield* takeAhead();
}

/**
 * The format of most of the first rows of files; undefined where none fits. What cannot be read is left to who reads
 * all.
 */
export async function usualFormatOf(files: readonly string[]): Promise<Detected | undefined> {
  const rows: DataRow[] = [];
  try {
    for await (const each of readRowsOrFaults(files)) {
      if (!("refused" in each)) rows.push(each.row);
      if (rows.length === FIRST_ROWS) break;
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
  }
  return usualFormat(rows);
}
