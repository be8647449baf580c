/** The second reading of files of which the rows were counted: gives those that are asked for. */
import { InputError } from "@medgpt/artifacts";
import type { RunContext } from "@medgpt/core/run";
import type { OneFormat } from "./one-format.js";
import { eachLine, wholeLine } from "./parallel/chunk-rows.js";
import { readChunks } from "./parallel/read-chunks.js";
import { mapRows, type RowFiles } from "./row-inputs.js";
import { usualFormatIn } from "./row-content.js";
import { chooser } from "./random.js";

/**
 * Counts rows, reading every one of them.
 * @throws InputError for a line that is not a row, and for rows of different formats
 */
export async function countRows(
  found: RowFiles,
  format: OneFormat,
  options: RunContext & { readonly from: string | null; readonly threads: number | null },
): Promise<number> {
  let rows = 0;
  const { from } = options;
  const usual = await usualFormatIn(found.files, from);
  for await (const part of mapRows(found, "check", { from, usual }, options)) {
    format.check(part.formats);
    rows += part.rows;
  }
  return rows;
}

/** Lines that go on without a promise as long as they can: one for each of a few million rows takes seconds. */
export interface LineSource {
  /** The next line, with its line break; a promise where the file is read on, undefined at the end. */
  next(): Uint8Array | Promise<Uint8Array | undefined> | undefined;
  close(): Promise<void>;
}

/**
 * `count` rows by chance, none twice, in the order of the files; where there are fewer, all of them again and again before
 * that.
 * @param total how many rows the files have
 */
export function chooseRows(files: readonly string[], count: number, total: number, seed: number): LineSource {
  const lines = chosenLines(files, count, total, seed);
  let ready: Uint8Array[] = [];
  let at = 0;
  const refill = async (): Promise<Uint8Array | undefined> => {
    const { value, done } = await lines.next();
    if (done === true) return undefined;
    [ready, at] = [value, 1];
    return value[0];
  };
  return {
    next: () => (at < ready.length ? ready[at++] : refill()),
    close: async () => void (await lines.return(undefined)),
  };
}

/** Lists of lines, none of them empty. */
async function* chosenLines(
  files: readonly string[],
  count: number,
  total: number,
  seed: number,
): AsyncGenerator<Uint8Array[], undefined> {
  for (let left = count; left > 0; left -= total) {
    const isChosen = left >= total ? () => true : chooser(left, total, seed);
    let seen = 0;
    for await (const { bytes } of readChunks(files)) {
      const lines: Uint8Array[] = [];
      eachLine(bytes, (begin, end) => {
        if (++seen <= total && isChosen()) lines.push(wholeLine(bytes, begin, end));
      });
      if (lines.length > 0) yield lines;
    }
    if (seen !== total) {
      throw new InputError(`expected ${total} rows as were counted before, got ${seen}: the files have changed`, {
        place: files.join(", "),
      });
    }
  }
  return undefined;
}
