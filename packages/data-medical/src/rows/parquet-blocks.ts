import { InputError } from "@medgpt/artifacts";
import { halfPairs, JsonNumber, stringifyJson } from "@medgpt/core/json";
import type { DataRow } from "@medgpt/core/data";
import { ByteWriter, ParquetWriter } from "hyparquet-writer";

import type { ColumnType } from "./column-types.js";

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]["schema"][number];

/** Rows in a row group, which are in memory together; as many as Python's datasets makes of them. */
const GROUP_ROWS = 1000;

const PRIMITIVES = {
  text: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  json: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  boolean: { type: "BOOLEAN" },
  integer: { type: "INT64" },
  long: { type: "INT64" },
  number: { type: "DOUBLE" },
} as const;

/**
 * The bytes of a parquet file, a row group at a time. Every value may be missing.
 * @throws InputError if there are no rows, since a file of columns needs one
 */
export async function* parquetBlocks(
  rows: AsyncIterable<DataRow>,
  columns: ReadonlyMap<string, ColumnType>,
  path: string,
): AsyncGenerator<Uint8Array> {
  if (columns.size === 0) throw new InputError("expected rows to write to parquet, got none; write them to .jsonl");
  const root = { name: "schema", num_children: columns.size };
  const schema = [root, ...[...columns].flatMap(([name, type]) => elements(name, type))];
  const writer = new ByteWriter();
  // Statistics would hold texts of every row group.
  const parquet = new ParquetWriter({ writer, schema, statistics: false });
  const taken = (): Uint8Array => {
    const bytes = writer.getBytes().slice();
    writer.index = 0;
    return bytes;
  };
  const write = async (group: readonly DataRow[]): Promise<Uint8Array> => {
    const columnData = [...columns].map(([name, type]) => ({
      name,
      data: group.map((row) => encode(valueOf(row, name), type, path)),
      // A dictionary would take 0 and -0 for one.
      ...(hasNumber(type) && { encoding: "PLAIN" as const }),
    }));
    await parquet.write({ columnData, rowGroupSize: GROUP_ROWS });
    return taken();
  };
  let group: DataRow[] = [];
  for await (const row of rows) {
    group.push(row);
    if (group.length < GROUP_ROWS) continue;
    yield await write(group);
    group = [];
  }
  if (group.length > 0) yield await write(group);
  await parquet.finish();
  yield taken();
}

function hasNumber(type: ColumnType | undefined): boolean {
  if (type?.kind === "list") return hasNumber(type.items);
  if (type?.kind === "struct") return [...type.fields.values()].some(hasNumber);
  return type?.kind === "number";
}

/** A row may lack a column that every object has, such as "constructor". */
function valueOf(row: DataRow, name: string): unknown {
  return Object.hasOwn(row, name) ? row[name] : null;
}

/** A column's part of the schema, lists as the format's specification has them. */
function elements(name: string, type: ColumnType): SchemaElement[] {
  if (type.kind === "list")
    return [
      { name, repetition_type: "OPTIONAL", converted_type: "LIST", num_children: 1 },
      { name: "list", repetition_type: "REPEATED", num_children: 1 },
      ...elements("element", type.items ?? { kind: "text" }),
    ];
  if (type.kind === "struct")
    return [
      { name, repetition_type: "OPTIONAL", num_children: type.fields.size },
      ...[...type.fields].flatMap(([field, inner]) => elements(field, inner ?? { kind: "text" })),
    ];
  return [{ name, repetition_type: "OPTIONAL", ...PRIMITIVES[type.kind] }];
}

/** A value as the writer takes it. */
function encode(value: unknown, type: ColumnType | undefined, path: string): unknown {
  if (value === null || value === undefined) return null;
  switch (type?.kind) {
    case "json":
      return jsonText(value, path);
    case "integer":
    case "long":
      return BigInt(value instanceof JsonNumber ? value.text : (value as number));
    case "number":
      return Number(value instanceof JsonNumber ? value.text : value);
    case "list":
      return (value as unknown[]).map((item) => encode(item, type.items, path));
    case "struct":
      return Object.fromEntries(
        [...type.fields].map(([name, field]) => [name, encode(valueOf(value as DataRow, name), field, path)]),
      );
    default:
      return typeof value === "string" ? text(value, path) : value;
  }
}

function jsonText(value: unknown, path: string): string {
  const json = stringifyJson(value);
  if (halfPairs(json).next().done === true) return json;
  throw halfPair(path);
}

function text(value: string, path: string): string {
  if (value.isWellFormed()) return value;
  throw halfPair(path);
}

/** UTF-8 has no halves of surrogate pairs, which JSON may escape; whoever reads them cannot write them. */
export function halfPair(path: string): InputError {
  return new InputError("expected text to write, got half of a surrogate pair; medgpt data lint --fix takes it away", {
    place: path,
  });
}
