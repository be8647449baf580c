import { InputError } from "@medgpt/artifacts";
import type { DataRow } from "@medgpt/core/data";
import parquetjs from "parquetjs-lite";

import type { ColumnType } from "./column-types.js";

/** Rows in a row group, which are in memory together; as many as Python's datasets makes of them. */
const GROUP_ROWS = 1000;

const PRIMITIVES = { text: "UTF8", json: "UTF8", boolean: "BOOLEAN", integer: "INT64", number: "DOUBLE" } as const;

/**
 * The bytes of a parquet file, a row group at a time. Every value may be missing.
 * @throws InputError where there is no row, since a file of columns needs one
 */
export async function* parquetBlocks(
  rows: AsyncIterable<DataRow>,
  columns: ReadonlyMap<string, ColumnType>,
): AsyncGenerator<Uint8Array> {
  if (columns.size === 0) throw new InputError("expected rows to write to parquet, got none; write them to .jsonl");
  const schema = new parquetjs.ParquetSchema(fields(columns));
  let written: Uint8Array[] = [];
  const write = (block: Uint8Array): void => void written.push(block);
  const options = { rowGroupSize: GROUP_ROWS, useDataPageV2: false };
  const envelope = new parquetjs.ParquetEnvelopeWriter(schema, write, () => undefined, 0, options);
  const writer = new parquetjs.ParquetWriter(schema, envelope, options);
  for await (const row of rows) {
    await writer.appendRow(encodeFields(row, columns));
    yield* written;
    written = [];
  }
  await writer.close();
  yield* written;
}

type Fields = ReadonlyMap<string, ColumnType | undefined>;

/** A schema of columns, lists as the format's specification has them. */
function fields(types: Fields): Record<string, parquetjs.FieldDefinition> {
  return Object.fromEntries([...types].map(([name, type]) => [name, field(type ?? { kind: "text" })]));
}

function field(type: ColumnType): parquetjs.FieldDefinition {
  // Statistics would hold every distinct text of a row group.
  const common = { optional: true, statistics: false };
  if (type.kind === "list") {
    const element = field(type.items ?? { kind: "text" });
    return { ...common, type: "LIST", fields: { list: { repeated: true, fields: { element } } } };
  }
  if (type.kind === "struct") return { ...common, fields: fields(type.fields) };
  return { ...common, type: PRIMITIVES[type.kind], compression: "SNAPPY" };
}

function encodeFields(row: DataRow, types: Fields): Record<string, unknown> {
  return Object.fromEntries([...types].map(([name, type]) => [name, encode(row[name], type)]));
}

/** A value as the writer takes it. */
function encode(value: unknown, type: ColumnType | undefined): unknown {
  if (value === null || value === undefined) return null;
  switch (type?.kind) {
    case "json":
      return text(JSON.stringify(value));
    case "list":
      return { list: (value as unknown[]).map((item) => ({ element: encode(item, type.items) })) };
    case "struct":
      return encodeFields(value as DataRow, type.fields);
    default:
      return typeof value === "string" ? text(value) : value;
  }
}

/** UTF-8 has no halves of surrogate pairs, which JSON may escape; they would become other characters. */
function text(value: string): string {
  if (!/\p{Surrogate}/u.test(value)) return value;
  throw new InputError("expected text that parquet can hold, got half of a surrogate pair; write it to .jsonl");
}
