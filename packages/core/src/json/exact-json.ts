/**
 * JSON whose numbers stay as they are written. `JSON.parse` rounds 9223372036854775807, makes Infinity (and so null) of 1e999
 * and forgets that 1.0 was no 1. It still does the work, on text in which such numbers stand as strings with a mark.
 */
import { randomUUID } from "node:crypto";
import { InputError } from "@medgpt/artifacts";
import { placeWithin, type TextPlace } from "../text/decode-utf8.js";

/** Begins the strings that stand for numbers. It is drawn anew in each process, so that no file can have it. */
const MARK = `number ${randomUUID()} `;
const MARKED = new RegExp(`"${MARK}([^"]*)"`, "g");

/** Whether JSON.stringify is to write marks, and whether it has. */
let [exact, marked] = [false, false];

/** A number that a JavaScript number would not write again as it is written here. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  /** For whoever does not ask `stringifyJson`: the nearest number. */
  toJSON(): unknown {
    if (!exact) return Number(this.text);
    marked = true;
    return MARK + this.text;
  }
}

/**
 * As JSON.parse, but numbers that it would change are JsonNumbers.
 * @throws SyntaxError if the text is not JSON
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  const numbers = changedNumbers(text);
  if (numbers.length === 0) return value;
  let source = "";
  let end = 0;
  for (const at of numbers) {
    const token = numberAt(text, at);
    source += `${text.slice(end, at)}"${MARK}${token}"`;
    end = at + token.length;
  }
  return withNumbers(JSON.parse(source + text.slice(end)));
}

/** As JSON.stringify, but JsonNumbers are written as they were. */
export function stringifyJson(value: unknown): string {
  [exact, marked] = [true, false];
  try {
    const text = JSON.stringify(value);
    return marked ? text.replace(MARKED, "$1") : text;
  } finally {
    exact = false;
  }
}

/** The value with JsonNumbers in place of marked strings. */
function withNumbers(value: unknown): unknown {
  const root = { value };
  const open: object[] = [root];
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    for (const [key, item] of Object.entries(holder) as [string, unknown][]) {
      if (typeof item === "object" && item !== null) open.push(item);
      else if (typeof item === "string" && item.startsWith(MARK))
        // Assigning to __proto__ would not make a property.
        Object.defineProperty(holder, key, { ...PROPERTY, value: new JsonNumber(item.slice(MARK.length)) });
    }
  }
  return root.value;
}
const PROPERTY = { writable: true, enumerable: true, configurable: true };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const NUMBER = /-?\d[\d.eE+-]*/y;

/** Where valid JSON has numbers that JSON.stringify would write in another way. */
function changedNumbers(text: string): number[] {
  const found: number[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at);
    else if (code === MINUS || (code >= 0x30 && code <= 0x39)) {
      const token = numberAt(text, at);
      if (String(Number(token)) !== token) found.push(at);
      at += token.length - 1;
    }
  }
  return found;
}

function numberAt(text: string, at: number): string {
  NUMBER.lastIndex = at;
  return NUMBER.exec(text)![0];
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
  return SURROGATE_ESCAPE.test(text) ? halfPairs(text).next().value : undefined;
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
