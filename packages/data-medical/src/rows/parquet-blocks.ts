import { InputError } from "@medgpt/artifacts";
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
  number: { type: "DOUBLE" },
} as const;

/** The bytes of a parquet file, a row group at a time. Every value may be missing. */
export async function* parquetBlocks(
  rows: AsyncIterable<DataRow>,
  columns: ReadonlyMap<string, ColumnType>,
): AsyncGenerator<Uint8Array> {
  const root = { name: "schema", num_children: columns.size };
  const schema = [root, ...[...columns].flatMap(([name, type]) => elements(name, type))];
  const writer = new ByteWriter();
  const parquet = new ParquetWriter({ writer, schema });
  const taken = (): Uint8Array => {
    const bytes = writer.getBytes().slice();
    writer.index = 0;
    return bytes;
  };
  const write = async (group: readonly DataRow[]): Promise<Uint8Array> => {
    const columnData = [...columns].map(([name, type]) => ({
      name,
      data: group.map((row) => encode(row[name], type)),
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
function encode(value: unknown, type: ColumnType | undefined): unknown {
  if (value === null || value === undefined) return null;
  switch (type?.kind) {
    case "json":
      return text(JSON.stringify(value));
    case "integer":
      return BigInt(value as number);
    case "list":
      return (value as unknown[]).map((item) => encode(item, type.items));
    case "struct":
      return Object.fromEntries(
        [...type.fields].map(([name, field]) => [name, encode((value as DataRow)[name], field)]),
      );
    default:
      return typeof value === "string" ? text(value) : value;
  }
}

/** UTF-8 has no halves of surrogate pairs, which JSON may escape; they would become other characters. */
function text(value: string): string {
  if (!/\p{Surrogate}/u.test(value)) return value;
  throw new InputError("expected text that parquet can hold, got half of a surrogate pair; write it to .jsonl");
}
