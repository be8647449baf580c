/**
 * Jinja2 templates cut into tokens, with the settings of transformers' chat templates: trim_blocks and lstrip_blocks
 * (pallets/jinja, src/jinja2/lexer.py).
 */
import { TemplateError } from "./template-error.js";

export interface Token {
  readonly kind: "text" | "begin" | "end" | "name" | "string" | "integer" | "float" | "operator";
  readonly value: string;
  readonly line: number;
}

const OPERATORS = ["//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">", "=", "(", ")", "[", "]", "{", "}", ",", ":", ".", "|"]; // prettier-ignore
const NUMBER =
  /(?:0[xX](?:_?[\da-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|(?:\d(?:_?\d)*)(?:\.\d(?:_?\d)*)?(?:[eE][+-]?\d(?:_?\d)*)?)/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const STRING = /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'|"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y;
const TAG = /\{%[-+]?|\{\{[-+]?|\{#[-+]?/g;
const RAW = /\s*raw\s*(-?)%\}/y;
const BLANK = /\s*/y;

class Lexer {
  readonly tokens: Token[] = [];
  #at = 0;
  #line = 1;
  /** Whether blanks, or one newline, that come next go: the tag before ends with a minus, or is trimmed as blocks are. */
  #after: "strip" | "trim" | undefined;

  constructor(readonly text: string) {}

  run(): Token[] {
    const { text } = this;
    while (this.#at < text.length) {
      TAG.lastIndex = this.#at;
      const match = TAG.exec(text);
      if (match === null) {
        this.#literal(text.length, "");
        break;
      }
      const tag = match[0];
      this.#literal(match.index, tag);
      this.#at = match.index + tag.length;
      if (tag.startsWith("{#")) this.#comment();
      else if (!tag.startsWith("{%") || !this.#raw()) this.#tag(tag.slice(0, 2));
    }
    return this.tokens;
  }

  #fail(message: string): never {
    throw new TemplateError(`line ${this.#line}: ${message}`);
  }

  #read(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.text);
  }

  #push(kind: Token["kind"], value: string): void {
    this.tokens.push({ kind, value, line: this.#line });
  }

  /** Goes on behind what was read. */
  #advance(end: number): void {
    this.#line += newlines(this.text.slice(this.#at, end));
    this.#at = end;
  }

  /** Text up to a tag. Nothing here looks at a blank more than once or twice: templates come from strangers. */
  #literal(until: number, tag: string): void {
    const whole = this.text.slice(this.#at, until);
    let value = whole;
    if (this.#after === "strip") value = value.trimStart();
    else if (this.#after === "trim" && value.startsWith("\n")) value = value.slice(1);
    if (tag.endsWith("-")) value = value.trimEnd();
    else if (tag === "{%" || tag === "{#") {
      // Blanks between the start of a line and a block or a comment go.
      const newline = whole.lastIndexOf("\n");
      const startsLine = newline >= 0 || this.#at === 0 || this.text[this.#at - 1] === "\n";
      const blanks = whole.slice(newline + 1);
      if (startsLine && blanks.trim() === "") value = value.slice(0, Math.max(0, value.length - blanks.length));
    }
    if (value !== "") this.#push("text", value);
    this.#line += newlines(whole);
  }

  #comment(): void {
    const end = this.text.indexOf("#}", this.#at);
    if (end < 0) this.#fail("a comment has no end");
    this.#after = this.text[end - 1] === "-" ? "strip" : "trim";
    this.#advance(end + 2);
  }

  /** Reads a raw block to its end; whether there is one. */
  #raw(): boolean {
    const begin = this.#read(RAW);
    if (begin === null) return false;
    const from = RAW.lastIndex;
    const end = /\{%(-?)[-+]?\s*endraw\s*(-?)\+?%\}/g;
    end.lastIndex = from;
    const close = end.exec(this.text) ?? this.#fail("a raw block has no end");
    let inner = this.text.slice(from, close.index);
    inner = begin[1] === "-" ? inner.trimStart() : inner.replace(/^\n/, "");
    if (close[1] === "-") inner = inner.trimEnd();
    if (inner !== "") this.#push("text", inner);
    this.#after = close[2] === "-" ? "strip" : "trim";
    this.#advance(end.lastIndex);
    return true;
  }

  /** The inside of a block or an output, and its end. */
  #tag(kind: string): void {
    this.#push("begin", kind);
    const { text } = this;
    const close = kind === "{%" ? "%}" : "}}";
    let open = 0;
    for (;;) {
      this.#advance(this.#at + (this.#read(BLANK)?.[0].length ?? 0));
      if (this.#at >= text.length) this.#fail(`expected ${close}`);
      const minus = text.startsWith(`-${close}`, this.#at);
      const plus = kind === "{%" && text.startsWith(`+${close}`, this.#at);
      if (open === 0 && (minus || plus || text.startsWith(close, this.#at))) {
        this.#at += close.length + (minus || plus ? 1 : 0);
        this.#after = minus ? "strip" : kind === "{%" && !plus ? "trim" : undefined;
        break;
      }
      open = Math.max(0, open + this.#word());
    }
    this.#push("end", close);
  }

  /** A name, a number, a text or an operator; 1 where it opens a bracket, -1 where it closes one. */
  #word(): number {
    const value = (this.#read(NAME) ?? this.#read(STRING) ?? this.#read(NUMBER))?.[0];
    if (value !== undefined) {
      const kind = kindOf(value);
      this.#push(kind, kind === "string" ? unescape(value.slice(1, -1)) : value);
      this.#advance(this.#at + value.length);
      return 0;
    }
    const operator =
      OPERATORS.find((candidate) => this.text.startsWith(candidate, this.#at)) ??
      this.#fail(`unexpected ${JSON.stringify(this.text[this.#at])}`);
    this.#push("operator", operator);
    this.#at += operator.length;
    return "([{".includes(operator) ? 1 : ")]}".includes(operator) ? -1 : 0;
  }
}

function newlines(text: string): number {
  return text.split("\n").length - 1;
}

function kindOf(word: string): Token["kind"] {
  if (/^['"]/.test(word)) return "string";
  if (!/^\d/.test(word)) return "name";
  return /^0[xXbBoO]/.test(word) || !/[.eE]/.test(word) ? "integer" : "float";
}

/** @throws TemplateError with the line for what no token begins with, and for a tag without an end */
export function tokenize(source: string): Token[] {
  // One newline at the very end is not part of a template.
  return new Lexer(source.replace(/\r\n|\r/g, "\n").replace(/\n$/, "")).run();
}

const ESCAPES: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  b: "\b",
  f: "\f",
  v: "\v",
  a: "\x07",
  "0": "\0",
  "\n": "",
};

function unescape(body: string): string {
  return body.replace(/\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([\s\S]))/g, (all, x, u, long, char) => {
    const code = (x ?? u ?? long) as string | undefined;
    if (code !== undefined) return String.fromCodePoint(parseInt(code, 16));
    return ESCAPES[char as string] ?? ("\\'\"".includes(char as string) ? (char as string) : all);
  });
}
