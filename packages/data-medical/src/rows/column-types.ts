/** The types that columns of rows have as parquet, found by looking at every value. */

export type ColumnType =
  | { readonly kind: "text" | "boolean" | "integer" | "number" }
  /** Values of different types, or objects without common fields: kept as JSON text. */
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
  const numbers = [a.kind, b.kind].every((kind) => kind === "integer" || kind === "number");
  if (a.kind === b.kind) return a;
  return { kind: numbers ? "number" : "json" };
}

/** A struct with a part that is JSON is JSON as a whole, so that a column is never half text. */
function checked(struct: Extract<ColumnType, { kind: "struct" }>): ColumnType {
  const { size } = struct.fields;
  const plain = size > 0 && size <= MAX_FIELDS && [...struct.fields.values()].every((type) => type?.kind !== "json");
  return plain ? struct : { kind: "json" };
}
