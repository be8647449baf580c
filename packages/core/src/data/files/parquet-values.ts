/** Values of parquet that JavaScript's numbers and dates cannot hold: times, decimals and floating point, as text or numbers of JSON. */
import type { ParquetParsers, SchemaElement, SchemaTree } from "hyparquet";
import { InputError } from "@medgpt/artifacts";
import { JsonNumber, parseJson } from "../../json/exact-json.js";

/** Times as ISO 8601 has them, with every digit; days without a time. */
export const exactParsers: Partial<ParquetParsers> = {
  timestampFromMilliseconds: (value) => isoTime(value, 3),
  timestampFromMicroseconds: (value) => isoTime(value, 6),
  timestampFromNanoseconds: (value) => isoTime(value, 9),
  dateFromDays: (days) => isoTime(BigInt(days) * 86_400_000n, 3).split("T")[0],
  jsonFromBytes: (bytes: Uint8Array | undefined) => bytes && parseJson(Buffer.from(bytes).toString("utf8")),
};

/** @throws RangeError for a year that ISO 8601 does not have */
function isoTime(value: bigint, digits: number): string {
  const second = 10n ** BigInt(digits);
  const fraction = ((value % second) + second) % second;
  const whole = new Date(Number((value - fraction) / second) * 1000).toISOString();
  const shown = String(fraction)
    .padStart(digits, "0")
    .replace(/(?<=^\d{3})0+$/, "");
  return whole.replace(".000Z", `.${shown}Z`);
}

const isDecimal = ({ converted_type, logical_type }: SchemaElement): boolean =>
  converted_type === "DECIMAL" || logical_type?.type === "DECIMAL";

/** The schema for the library, which would round decimals: without what says that columns are such. */
export function withoutDecimals(schema: readonly SchemaElement[]): SchemaElement[] {
  return schema.map((element) => {
    if (!isDecimal(element)) return element;
    const { converted_type: _, logical_type: __, ...plain } = element;
    return plain;
  });
}

/** For each column at the top level, how its values are converted; undefined if they stay as the library gives them. */
export function exactColumns(
  { children }: SchemaTree,
  names: readonly string[],
): readonly (((value: unknown) => unknown) | undefined)[] {
  return names.map((name) => {
    const column = children.find(({ element }) => element.name === name);
    if (column === undefined || column.children.length > 0 || column.element.repetition_type === "REPEATED")
      return undefined;
    const { element } = column;
    if (isDecimal(element)) return (value) => decimal(value, element.scale ?? 0);
    // A whole number of such a column is no integer.
    if (element.type === "DOUBLE" || element.type === "FLOAT")
      return (value) => (typeof value === "number" ? floating(value) : value);
    return undefined;
  });
}

/**
 * @param schema as the file has it
 * @throws InputError for what the library would change in silence within lists and structs, and for columns of one name
 */
export function checkColumnsAreKept({ children }: SchemaTree, names: readonly string[], file: string): void {
  const seen = new Set<string>();
  for (const column of children) {
    const { name } = column.element;
    const refuse = (what: string, remedy: string): never => {
      throw new InputError(`expected ${what} in the column ${JSON.stringify(name)}; ${remedy}`, { place: file });
    };
    if (!names.includes(name)) continue;
    if (seen.has(name)) refuse("another name for each column, got two", "rename one");
    seen.add(name);
    const within = (node: SchemaTree): SchemaTree[] => node.children.flatMap((child) => [child, ...within(child)]);
    for (const { element } of within(column)) {
      if (element.name === "__proto__") refuse("no field of the name __proto__", "rename it");
      if (isDecimal(element)) refuse("no decimals within lists or structs", "make them text");
    }
  }
}

function floating(value: number): unknown {
  if (Number.isNaN(value)) return value;
  if (!Number.isFinite(value)) return new JsonNumber(value > 0 ? "1e999" : "-1e999");
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /^-?\d+$/.test(text) ? new JsonNumber(`${text}.0`) : value;
}

function decimal(value: unknown, scale: number): unknown {
  if (value === null || value === undefined) return null;
  const unscaled = value instanceof Uint8Array ? signed(value) : BigInt(value as number | bigint);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const point = digits.length - scale;
  const text = scale > 0 ? `${digits.slice(0, point)}.${digits.slice(point)}` : digits;
  return new JsonNumber(`${unscaled < 0n ? "-" : ""}${text}`);
}

/** Big-endian, in two's complement. */
function signed(bytes: Uint8Array): bigint {
  return BigInt.asIntN(
    8 * bytes.length,
    bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n),
  );
}
