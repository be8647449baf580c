import { isJsonObject } from "../../json/read-json-object.js";
import { decodeUtf8 } from "../../text/decode-utf8.js";
import { JsonNumber } from "../../json/exact-json.js";

/**
 * A value of parquet as JSON has it; missing fields of a struct are null there, as Python's datasets gives them.
 * @throws InputError at `place` for bytes that are no text
 */
export function plainValue(value: unknown, place: string): unknown {
  if (value instanceof Uint8Array)
    return decodeUtf8(Buffer.from(value.buffer, value.byteOffset, value.byteLength), place);
  if (typeof value === "bigint")
    return Number.isSafeInteger(Number(value)) ? Number(value) : new JsonNumber(String(value));
  if (Array.isArray(value) || ArrayBuffer.isView(value))
    return Array.from(value as ArrayLike<unknown>, (item) => plainValue(item, place));
  if (!isJsonObject(value) || value instanceof JsonNumber) return value ?? null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, plainValue(item, place)]));
}
