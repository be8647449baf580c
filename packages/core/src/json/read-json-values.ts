/**
 * Takes a .json file apart while it is read: a list, one object whose "data" is a list, or values one after the other
 * (JSON lines, or objects over several lines). Only one value is held at a time, so a list may be larger than memory.
 */
import { InputError } from "@medgpt/artifacts";
import { decodeUtf8, placeWithin, snippet, type Bytes } from "../text/decode-utf8.js";
import { scanJson } from "./scan-json.js";

export interface JsonValue {
  readonly value: unknown;
  /** Its text in the file. */
  readonly source: string;
  /** Whether it is an element of a list. */
  readonly inList: boolean;
  /** Where it begins, from 1, in characters. */
  readonly line: number;
  readonly column: number;
}

/**
 * @param chunks the bytes of the file
 * @param parse JSON.parse, or parseJson where values are written again
 * @throws InputError (from the iteration) at file:line:column for malformed JSON and bytes that are not UTF-8
 */
export async function* readJsonValues(
  chunks: AsyncIterable<Bytes>,
  file: string,
  parse: (text: string) => unknown = JSON.parse,
): AsyncGenerator<JsonValue> {
  const scanner = new Scanner(file, parse);
  for await (const chunk of chunks) yield* scanner.write(chunk);
  yield* scanner.end();
}

const LF = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const [COMMA, COLON] = [0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
const isSpace = (byte: number): boolean => byte === 0x20 || byte === LF || byte === 0x0d || byte === 0x09;

interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}
const here = ({ file, line, column }: Place): string => `${file}:${line}:${column}`;

type Expected = "a JSON value" | "a JSON value or ]" | ", or ]" | "the end of the file";

/** Finds where values begin and end; JSON.parse checks their contents. */
class Scanner {
  #place: Place; // of the next byte that is not counted yet
  #started = false;
  #values = 0;
  #inList = false;
  #expected: Expected = "a JSON value";
  /** The object that holds the list being read: its text up to there. */
  #holder: Bytes[] | undefined;

  // The value that is being collected.
  #kind: "none" | "nested" | "scalar" = "none";
  #pieces: Bytes[] = [];
  #start: Place;
  #depth = 0;
  #inString = false;
  #escaped = false;
  // For an object at the top level, which may hold the list under "data".
  #string = "";
  #key = "";
  #afterColon = false;
  #hasText = false;

  readonly #read: (text: string) => unknown;

  constructor(file: string, parse: (text: string) => unknown) {
    this.#read = parse;
    this.#place = { file, line: 1, column: 1 };
    this.#start = this.#place;
  }

  *write(chunk: Bytes): Generator<JsonValue> {
    if (!this.#started && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) chunk = chunk.subarray(3);
    this.#started ||= chunk.length > 0;
    let counted = 0;
    const countTo = (end: number): void => {
      let { line, column } = this.#place;
      for (; counted < end; counted++) {
        const byte = chunk[counted]!;
        if (byte === LF) [line, column] = [line + 1, 1];
        else if ((byte & 0xc0) !== 0x80) column++;
      }
      this.#place = { file: this.#place.file, line, column };
    };

    let begin = 0; // of what belongs to the value in this chunk
    for (let at = 0; at < chunk.length; at++) {
      if (this.#inString) {
        at = this.#skipString(chunk, at);
        if (this.#inString || this.#kind === "nested") continue;
        // A string that is a value of its own ends with its quote.
        yield this.#finish(chunk.subarray(begin, at + 1));
        continue;
      }
      const byte = chunk[at]!;
      if (this.#kind === "nested") {
        if (byte === QUOTE) {
          this.#inString = true;
          this.#string = "";
        } else if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
          if (byte === OPEN_LIST && this.#holdsList()) {
            this.#holder = [...this.#pieces, chunk.subarray(begin, at), Buffer.from("null")];
            this.#kind = "none";
            this.#inList = true;
            this.#expected = "a JSON value or ]";
            continue;
          }
          this.#depth++;
        } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) {
          this.#depth--;
        }
        if (this.#depth === 1 && byte === COLON) {
          this.#key = this.#string;
          this.#hasText ||= this.#key === "text";
        }
        if (!isSpace(byte)) this.#afterColon = byte === COLON;
        if (this.#depth > 0) continue;
        const bytes = chunk.subarray(begin, at + 1);
        if (this.#expected !== "the end of the file") yield this.#finish(bytes);
        else {
          countTo(at);
          this.#parse(bytes, () => here(this.#place));
        }
        continue;
      }
      const ends = isSpace(byte) || byte === COMMA || byte === CLOSE_LIST || byte === CLOSE_OBJECT;
      if (this.#kind === "scalar") {
        if (!ends) continue;
        yield this.#finish(chunk.subarray(begin, at));
      }
      if (isSpace(byte)) continue;
      countTo(at);
      if (this.#expected === ", or ]" && byte === COMMA) this.#expected = "a JSON value";
      else if ((this.#expected === ", or ]" || this.#expected === "a JSON value or ]") && byte === CLOSE_LIST) {
        this.#inList = false;
        this.#expected = "the end of the file";
        if (this.#holder === undefined) continue;
        // The rest of the object, as if the list had been null.
        [this.#pieces, this.#kind, this.#depth, begin] = [this.#holder, "nested", 1, at + 1];
      } else if (ends || this.#expected === ", or ]" || this.#expected === "the end of the file") {
        throw this.#unexpected(snippet(chunk.toString("utf8", at, at + 80)));
      } else if (byte === OPEN_LIST && this.#values === 0 && !this.#inList) {
        this.#inList = true;
        this.#expected = "a JSON value or ]";
      } else {
        this.#start = this.#place;
        begin = at;
        this.#pieces = [];
        this.#kind = byte === OPEN_OBJECT || byte === OPEN_LIST ? "nested" : "scalar";
        this.#depth = 1;
        this.#inString = byte === QUOTE;
        [this.#key, this.#afterColon, this.#hasText] = ["", false, false];
      }
    }
    countTo(chunk.length);
    if (this.#kind !== "none") this.#pieces.push(chunk.subarray(begin));
  }

  *end(): Generator<JsonValue> {
    if (this.#kind === "scalar" && !this.#inString) yield this.#finish(Buffer.alloc(0));
    if (this.#kind !== "none") {
      const message =
        "expected the end of the JSON value that begins here, got the end of the file; the file is cut off";
      throw new InputError(message, { place: here(this.#start) });
    }
    if (this.#inList) throw this.#unexpected("the end of the file");
  }

  /** Moves to the end of the string, or to that of the chunk. */
  #skipString(chunk: Bytes, from: number): number {
    const remember = this.#depth === 1 && !this.#inList;
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#escaped) this.#escaped = false;
      else if (byte === BACKSLASH) this.#escaped = true;
      else if (byte === QUOTE) {
        this.#inString = false;
        return at;
      }
      // Longer ones are none of the names that matter.
      if (remember && this.#string.length < 5) this.#string += String.fromCharCode(byte);
    }
    return chunk.length;
  }

  /** Whether a list that begins now is the "data" of the object that is the file. */
  #holdsList(): boolean {
    const first = this.#values === 0 && !this.#inList && this.#holder === undefined && this.#depth === 1;
    return first && this.#afterColon && this.#key === "data" && !this.#hasText;
  }

  #finish(last: Bytes): JsonValue {
    const { line, column } = this.#start;
    const { value, source } = this.#parse(last, (before) => placeWithin(this.#start, before));
    this.#values++;
    this.#expected = this.#inList ? ", or ]" : "a JSON value";
    return { value, source, inList: this.#inList, line, column };
  }

  /** @param placeAfter the place of an error, given the text before it */
  #parse(last: Bytes, placeAfter: (before: string) => string): { value: unknown; source: string } {
    const source = decodeUtf8(this.#pieces.length === 0 ? last : Buffer.concat([...this.#pieces, last]), this.#start);
    this.#pieces = [];
    this.#kind = "none";
    try {
      return { value: this.#read(source), source };
    } catch (cause) {
      const at = scanJson(source).errorAt ?? source.length;
      const got = snippet(source.slice(at)) || "the end of the value";
      throw new InputError(`expected JSON, got ${got} here; correct the file or write it again`, {
        place: placeAfter(source.slice(0, at)),
        cause,
      });
    }
  }

  #unexpected(got: string): InputError {
    const message = `expected ${this.#expected}, got ${got} here; correct the file or write it again`;
    return new InputError(message, { place: here(this.#place) });
  }
}
