import type { DataRow, RowFault, SourceRow } from "@medgpt/core/data";

import { describe } from "../formats/detect-format.js";
import type { Format } from "../formats/format.js";
import { readExamples } from "../formats/read-examples.js";
import { RefusedRow } from "../formats/refused-row.js";
import type { Target } from "../targets/target.js";

/** A row in the target's format, or why there is none. */
export type Converted =
  { readonly row: DataRow } | { readonly reason: string; readonly place: string; readonly source: RowFault["source"] };

export interface ConvertRowsOptions {
  readonly from: Format | undefined;
  readonly target: Target;
  readonly signal?: AbortSignal | undefined;
  /** Called with every row before it is read. */
  readonly onRow?: ((source: SourceRow) => void) | undefined;
  /** Called with every extra column that gives way to one of the target's. */
  readonly onDropped: (column: string) => void;
  /** Called once with what the files hold. */
  readonly onFormat: (text: string) => void;
  /** Told of contents that do not fit the name of a file. */
  readonly onNote: (text: string) => void;
}

/** The rows of files in the target's format, with their extra columns. One row is in memory at a time. */
export async function* convertRows(
  files: readonly string[],
  { from, target, signal, onRow, onDropped, onFormat, onNote }: ConvertRowsOptions,
): AsyncGenerator<Converted> {
  const examples = readExamples(files, {
    from,
    onRow,
    onNote,
    onFormat: (found, place) => onFormat(`${place}: ${from === undefined ? describe(found) : from.name}`),
  });
  for await (const read of examples) {
    signal?.throwIfAborted();
    if ("refused" in read) {
      yield { reason: read.refused, place: read.place, source: read.source };
      continue;
    }
    try {
      const row = target.write(read.example);
      const extra = Object.entries(read.example.extra);
      for (const [name] of extra) if (target.columns.includes(name)) onDropped(name);
      const kept = extra.filter(([name]) => !target.columns.includes(name));
      yield { row: { ...row, ...Object.fromEntries(kept) } };
    } catch (error) {
      if (!(error instanceof RefusedRow)) throw error;
      yield { reason: error.message, place: read.place, source: read.source };
    }
  }
}
