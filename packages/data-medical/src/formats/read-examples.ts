import { InputError } from "@medgpt/artifacts";
import { readRows, type SourceRow } from "@medgpt/core/data";

import { describe, detectFormat, type Detected } from "./detect-format.js";
import type { Example } from "./example.js";
import type { Format } from "./format.js";
import { RefusedRow } from "./refused-row.js";
import { usableExample } from "./usable-example.js";

/** A row of a file with what it says, or with the reason why it says nothing. */
export type ReadExample = SourceRow & ({ readonly example: Example } | { readonly refused: string });

export interface ReadExamplesOptions {
  /** Read every row so, instead of telling the format by the columns. */
  readonly from?: Format | undefined;
  /** Called at the first row of all. */
  readonly onFormat?: ((found: Detected, place: string) => void) | undefined;
  /** Called with every row before it is read; what it throws ends the reading. */
  readonly onRow?: ((source: SourceRow) => void) | undefined;
}

/**
 * The rows of files, all of one format.
 * @throws InputError (from the iteration) for rows of different formats, naming both, and as readRows does
 */
export async function* readExamples(
  files: readonly string[],
  { from, onFormat, onRow }: ReadExamplesOptions = {},
): AsyncGenerator<ReadExample> {
  let first: (Detected & { place: string }) | undefined;
  for await (const source of readRows(files)) {
    onRow?.(source);
    try {
      const found =
        from === undefined ? detectFormat(source.row) : { format: from, columns: from.matches(source.row) ?? [] };
      if (first === undefined) {
        first = { ...found, place: source.place };
        onFormat?.(found, source.place);
      }
      if (found.format !== first.format)
        throw new InputError(
          `expected ${describe(first)} as at ${first.place}, got ${describe(found)}; convert them one by one`,
          { place: source.place },
        );
      yield { ...source, example: usableExample(found.format.read(source.row)) };
    } catch (error) {
      if (!(error instanceof RefusedRow)) throw error;
      yield { ...source, refused: error.message };
    }
  }
}
