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

/** Text in the place of a row that cannot be read as one. The place may have a column. */
export interface RowFault extends Located {
  readonly refused: string;
  /** The source in a form that JSON can hold: its value; its text, if that is not JSON; its bytes, if they are not text. */
  readonly source: { readonly row: unknown } | { readonly text: string } | { readonly base64: string };
}

export interface ReadOptions {
  /** Told of the bytes that were read, over all files. */
  readonly onBytes: (count: number) => void;
  /** Told of contents that do not fit the name of the file, in a line that names it. */
  readonly onNote: (text: string) => void;
  /** Told of a row with half of a surrogate pair, which is not Unicode. An error that it throws becomes a fault of the row. */
  readonly onHalfPair: (error: InputError) => void;
}

/** A row, or a fault, of a file that is known. */
export type RowOrFault = Omit<SourceRow, "file"> | Omit<RowFault, "file">;
