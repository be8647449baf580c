/** A row of a data file, as its readers give it. */
import type { InputError } from "@medgpt/artifacts";

export type DataRow = Readonly<Record<string, unknown>>;

interface Located {
  readonly file: string;
  /** From 1: the line that the row begins on, of .parquet the row. */
  readonly line: number;
  /** file:line, or file:row N, for an error. */
  readonly place: string;
}

export interface SourceRow extends Located {
  /** As JSON has it, whatever the file: no bytes, dates or bigints; a number that JavaScript would change is a JsonNumber. */
  readonly row: DataRow;
}

/** What stands where a row should be, and is none. The place may have a column. */
export interface RowFault extends Located {
  readonly refused: string;
  /** It, in a form that JSON can hold: a value, or where it is no JSON its text, or where it is no text its bytes. */
  readonly source: { readonly row: unknown } | { readonly text: string } | { readonly base64: string };
}

export interface ReadOptions {
  /** Told of the bytes that were read, over all files. */
  readonly onBytes: (count: number) => void;
  /** Told, in a line that names the file, of what one would not expect in a file of its name. */
  readonly onNote: (text: string) => void;
  /** Told of a row with half of a surrogate pair, which is no Unicode; what it throws is a fault of the row. */
  readonly onHalfPair: (error: InputError) => void;
}

/** A row, or a fault, of a file that is known. */
export type RowOrFault = Omit<SourceRow, "file"> | Omit<RowFault, "file">;
