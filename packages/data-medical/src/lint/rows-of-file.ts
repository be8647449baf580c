import { extname } from "node:path";
import { readChunks } from "@medgpt/core/text";
import { readJsonValues, stringifyJson } from "@medgpt/core/json";
import { readRowsOrFaults } from "@medgpt/core/data";
import { readLines, type RawRow } from "./raw-rows.js";

/** Files whose rows have their text in the file, so that --fix and --quarantine can write them. */
export const WRITABLE: readonly string[] = [".jsonl", ".json", ".txt"];

/**
 * The rows of a file. Those of .csv and .parquet are shown as JSON; their line is that of the record, or the number of the
 * row.
 * @throws InputError (from the iteration) for a .json, .csv or .parquet file that cannot be read on
 */
export async function* rowsOfFile(
  file: string,
  onBytes: (count: number) => void = () => undefined,
  onNote: (text: string) => void = () => undefined,
): AsyncGenerator<RawRow> {
  const ending = extname(file);
  if (ending === ".jsonl" || ending === ".txt") {
    yield* readLines(file, onBytes);
  } else if (ending === ".json") {
    for await (const { source, line, column } of readJsonValues(readChunks(file, 0, onBytes), file))
      yield { raw: source, plain: false, line, column, badByte: undefined };
  } else {
    for await (const each of readRowsOrFaults([file], { onNote })) {
      const place = { plain: false, line: each.line, column: 1, badByte: undefined };
      if ("row" in each) yield { ...place, raw: stringifyJson(each.row) };
      else yield { ...place, raw: stringifyJson(Object.values(each.source)[0]), fault: each.refused };
    }
  }
}
