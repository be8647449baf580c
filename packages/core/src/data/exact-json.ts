/**
 * JSON whose numbers stay as they are written. `JSON.parse` rounds 9223372036854775807, makes Infinity (and so null) of 1e999
 * and forgets that 1.0 was no 1. Only text with such a number is parsed slowly; all other goes through `JSON.parse`.
 */
import { InputError, nestsTooDeeply } from "@medgpt/artifacts";
import { parse, stringify } from "lossless-json";
import { placeWithin, type TextPlace } from "./decode-utf8.js";

/** A number that a JavaScript number would not write again as it is written here. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For whoever does not ask `stringifyJson`: the nearest number. */
  toJSON(): number {
    met = true;
    return Number(this.text);
  }
}

/** Whether `JSON.stringify` has come upon a JsonNumber. */
let met = false;

/**
 * As JSON.parse, but numbers that it would change are JsonNumbers.
 * @throws SyntaxError for what is no JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // What is nested deeper than we write is refused by whoever reads it; the slow parser would exhaust the stack.
  if (!hasInexactNumber(text) || nestsTooDeeply(text)) return value;
  // Of a key that comes twice the last counts, as for JSON.parse.
  return parse(text, undefined, { parseNumber, onDuplicateKey: ({ newValue }) => newValue });
}

/** As JSON.stringify, but JsonNumbers are written as they were. */
export function stringifyJson(value: unknown): string {
  met = false;
  const text = JSON.stringify(value);
  return met ? stringify(value, undefined, undefined, WRITE_NUMBERS)! : text;
}

const WRITE_NUMBERS = [
  { test: (value: unknown) => value instanceof JsonNumber, stringify: (value: unknown) => (value as JsonNumber).text },
];

function parseNumber(text: string): number | JsonNumber {
  const value = Number(text);
  return String(value) === text ? value : new JsonNumber(text);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const NUMBER = /-?\d[\d.eE+-]*/y;

/** Whether valid JSON has a number that JSON.stringify would write in another way. */
function hasInexactNumber(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === MINUS || (code >= 0x30 && code <= 0x39)) {
      NUMBER.lastIndex = at;
      const token = NUMBER.exec(text)![0];
      if (String(Number(token)) !== token) return true;
      at += token.length - 1;
    }
  }
  return false;
}

/** The closing quote of the string that opens at `quote`. */
function endOfString(text: string, quote: number): number {
  for (let end = text.indexOf('"', quote + 1); ; end = text.indexOf('"', end + 1)) {
    let before = end - 1;
    while (text.charCodeAt(before) === BACKSLASH) before--;
    // A quote that is escaped has an odd number of backslashes before it.
    if ((end - before) % 2 === 1) return end;
  }
}

const SURROGATE_ESCAPE = /\\u[dD][89a-fA-F]/;
/** Every escape; the group is half of a pair without the other. */
const ESCAPE = /\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u([dD][89a-fA-F]..)|[^])/g;

/**
 * Offset in JSON text of the first escape that is half of a surrogate pair without its other half (such as \ud83d, half of
 * an emoji): no Unicode, though JSON's grammar lets it pass. Text that comes from UTF-8 has none but in escapes.
 */
function halfPairAt(text: string): number | undefined {
  return halfPairs(text).next().value ?? undefined;
}

/** All of them; each is six characters long. */
export function* halfPairs(text: string): Generator<number, undefined> {
  if (!SURROGATE_ESCAPE.test(text)) return undefined;
  for (const { 1: half, index } of text.matchAll(ESCAPE)) if (half !== undefined) yield index;
  return undefined;
}

/**
 * The error for the first half of a pair in JSON text, with its place; undefined where there is none.
 * @param begin where the text begins
 */
export function halfPairError(text: string, begin: Exclude<TextPlace, string>): InputError | undefined {
  const at = halfPairAt(text);
  if (at === undefined) return undefined;
  const message = `expected Unicode, got ${text.slice(at, at + 6)}, half of a character whose other half is missing; medgpt data lint --fix takes it away`;
  return new InputError(message, { place: placeWithin(begin, text.slice(0, at)) });
}
