import { isUtf8 } from "node:buffer";
import { InputError } from "@medgpt/artifacts";
import { guessEncoding } from "./file-kind.js";

/** A Buffer, as declarations can say it to users without the types of Node.js. */
export interface Bytes extends Uint8Array {
  toString(encoding?: "utf8" | "latin1" | "base64", start?: number, end?: number): string;
  subarray(start?: number, end?: number): Bytes;
}

/** Where bytes begin in a file, in characters from 1; or a place that has no columns, ready to be shown. */
export type TextPlace = string | { readonly file: string; readonly line: number; readonly column: number };

/**
 * Bytes as text.
 * @throws InputError at the first byte that is not UTF-8
 */
export function decodeUtf8(bytes: Bytes, place: TextPlace): string {
  if (isUtf8(bytes)) return bytes.toString("utf8");
  // Byte by byte up to the first bad sequence, whose place is what the user needs to find it.
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let good = "";
  try {
    for (const byte of bytes) good += decoder.decode(Uint8Array.of(byte), { stream: true });
  } catch {
    // `good` is what came before.
  }
  const byte = bytes[Buffer.byteLength(good)]!.toString(16).padStart(2, "0");
  const encoding = typeof place === "string" ? undefined : guessEncoding(bytes);
  const hint =
    encoding === undefined || typeof place === "string"
      ? ""
      : ` (it looks like ${encoding.toUpperCase()}: iconv -f ${encoding} -t utf-8 ${place.file} > NEW)`;
  throw new InputError(
    `expected UTF-8, got the byte 0x${byte} after "${snippet(good.slice(-20))}"; save the file as UTF-8${hint}`,
    {
      place: typeof place === "string" ? place : placeWithin(place, good),
    },
  );
}

/** The place that a text which begins at `place` ends at, as file:line:column. */
export function placeWithin(place: Exclude<TextPlace, string>, text: string): string {
  const lines = text.split("\n");
  const column = [...lines.at(-1)!].length + (lines.length === 1 ? place.column : 1);
  return `${place.file}:${place.line + lines.length - 1}:${column}`;
}

/** The beginning of a text on one line, without control characters. */
export function snippet(text: string, length = 40): string {
  const short = text.length > length ? `${text.slice(0, length)}…` : text;
  return short.replace(/[\p{Cc}\u2028\u2029]/gu, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
