import { extname } from "node:path";

import { InputError, writeFileAtomic } from "@medgpt/artifacts";
import { halfPairs, stringifyJson } from "@medgpt/core/json";
import type { DataRow } from "@medgpt/core/data";

import { makeFolderOf } from "../output-files.js";
import { typeOf, unite, type ColumnType } from "./column-types.js";
import { halfPair, parquetBlocks } from "./parquet-blocks.js";

/** The extensions of files that rows are written to. */
export const WRITTEN_EXTENSIONS: readonly string[] = [".jsonl", ".parquet"];

export interface WriteRowsOptions {
  /** Columns whose lists and objects have no common form, kept as JSON text in parquet. */
  readonly json?: readonly string[];
}

export interface WrittenRows {
  readonly rows: number;
  /** Columns that are JSON text in parquet, though they are no text in the rows. */
  readonly json: readonly string[];
}

/**
 * Writes rows to a .jsonl or .parquet file, which takes its name once it is complete; where `rows` throws, nothing is left
 * behind. Parquet needs the types of its columns first, so `rows` is called twice for it.
 * @throws InputError for another ending, a full disk, or a folder that may not be written
 */
export async function writeRows(
  path: string,
  rows: () => AsyncIterable<DataRow>,
  { json = [] }: WriteRowsOptions = {},
): Promise<WrittenRows> {
  let count = 0;
  const counted = async function* (): AsyncGenerator<DataRow> {
    for await (const row of rows()) {
      count++;
      yield row;
    }
  };
  const ending = extname(path);
  if (WRITTEN_EXTENSIONS.includes(ending)) await makeFolderOf(path);
  switch (ending) {
    case ".jsonl":
      await writeFileAtomic(path, jsonLines(counted(), path));
      return { rows: count, json: [] };
    case ".parquet": {
      const columns = await columnTypes(rows(), json);
      await writeFileAtomic(path, parquetBlocks(counted(), columns, path));
      return { rows: count, json: [...columns].flatMap(([name, { kind }]) => (kind === "json" ? [name] : [])) };
    }
    default:
      throw new InputError(`expected a file ending in ${WRITTEN_EXTENSIONS.join(" or ")}`, { place: path });
  }
}

/** Bytes gathered before they are written. */
const BLOCK = 1 << 16;

async function* jsonLines(rows: AsyncIterable<DataRow>, path: string): AsyncGenerator<Uint8Array> {
  let text = "";
  for await (const row of rows) {
    const line = stringifyJson(row);
    if (halfPairs(line).next().done !== true) throw halfPair(path);
    text += `${line}\n`;
    if (text.length < BLOCK) continue;
    yield Buffer.from(text);
    text = "";
  }
  yield Buffer.from(text);
}

async function columnTypes(
  rows: AsyncIterable<DataRow>,
  json: readonly string[],
): Promise<ReadonlyMap<string, ColumnType>> {
  const types = new Map<string, ColumnType | undefined>();
  for await (const row of rows)
    for (const [name, value] of Object.entries(row)) types.set(name, unite(types.get(name), typeOf(value)));
  return new Map(
    [...types].map(([name, type]): [string, ColumnType] => {
      const asJson = json.includes(name) && (type?.kind === "list" || type?.kind === "struct");
      return [name, asJson ? { kind: "json" } : (type ?? { kind: "text" })];
    }),
  );
}
