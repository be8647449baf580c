/** The types that columns of rows have as parquet, found by looking at every value. */
import { JsonNumber } from "@medgpt/core/json";

export type ColumnType =
  /** A "long" has 64 bits, of which floating point holds 53. */
  | { readonly kind: "text" | "boolean" | "integer" | "long" | "number" }
  /** Values of different types, numbers that are none of these, or objects without common fields: kept as JSON text. */
  | { readonly kind: "json" }
  | { readonly kind: "list"; readonly items: ColumnType | undefined }
  | { readonly kind: "struct"; readonly fields: ReadonlyMap<string, ColumnType | undefined> };

/** Objects with more fields than this, over all rows, are no records but dictionaries. */
const MAX_FIELDS = 32;

/** The type of a value; undefined for null, which any type may be. */
export function typeOf(value: unknown): ColumnType | undefined {
  switch (typeof value) {
    case "string":
      return { kind: "text" };
    case "boolean":
      return { kind: "boolean" };
    case "number":
      return { kind: Number.isSafeInteger(value) ? "integer" : "number" };
    case "object":
      if (value instanceof JsonNumber) return { kind: kindOf(value.text) };
      break;
    default:
  }
  if (value === null || value === undefined) return undefined;
  if (Array.isArray(value)) {
    const items = value.reduce<ColumnType | undefined>((type, item) => unite(type, typeOf(item)), undefined);
    return items?.kind === "json" ? items : { kind: "list", items };
  }
  const fields = new Map(Object.entries(value).map(([name, field]) => [name, typeOf(field)]));
  return checked({ kind: "struct", fields });
}

/** The type that holds a number without changing it. */
function kindOf(text: string): "long" | "number" | "json" {
  if (/^-?[1-9]\d*$/.test(text)) return BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? "long" : "json";
  // The shortest number that is read as the same one stands for it, as everywhere.
  return plainDecimal(text) === plainDecimal(String(Number(text))) ? "number" : "json";
}

/** A decimal number in its shortest form: its digits, and the power of ten that they are multiplied by. */
function plainDecimal(text: string): string {
  const [, sign, whole, fraction = "", exponent = "0"] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (whole === undefined) return text; // Infinity
  const digits = `${whole}${fraction}`.replace(/^0+/, "");
  const short = digits.replace(/0+$/, "");
  // Minus zero is zero to the comparison, as its sign is kept by floating point.
  return short === "" ? "0" : `${sign}${short}e${Number(exponent) - fraction.length + digits.length - short.length}`;
}

/** The type that values of both have. */
export function unite(a: ColumnType | undefined, b: ColumnType | undefined): ColumnType | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.kind === "list" && b.kind === "list") {
    const items = unite(a.items, b.items);
    return items?.kind === "json" ? items : { kind: "list", items };
  }
  if (a.kind === "struct" && b.kind === "struct") {
    const fields = new Map(a.fields);
    for (const [name, type] of b.fields) fields.set(name, unite(fields.get(name), type));
    return checked({ kind: "struct", fields });
  }
  if (a.kind === b.kind) return a;
  const are = (...kinds: ColumnType["kind"][]): boolean => [a, b].every(({ kind }) => kinds.includes(kind));
  return { kind: are("integer", "long") ? "long" : are("integer", "number") ? "number" : "json" };
}

/** A struct with a part that is JSON is JSON as a whole, so that a column is never half text. */
function checked(struct: Extract<ColumnType, { kind: "struct" }>): ColumnType {
  const { size } = struct.fields;
  // Readers of parquet make objects, which cannot have a field of that name.
  const named = size > 0 && size <= MAX_FIELDS && !struct.fields.has("__proto__");
  const plain = named && [...struct.fields.values()].every((type) => type?.kind !== "json");
  return plain ? struct : { kind: "json" };
}
