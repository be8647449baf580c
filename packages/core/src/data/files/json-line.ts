import { InputError } from "@medgpt/artifacts";
import { scanJson } from "../../json/scan-json.js";
import { decodeUtf8, snippet, type Bytes } from "../../text/decode-utf8.js";
import { beginsList, listInLines } from "./list-in-lines.js";

/**
 * The value on a line of .jsonl, with its text; undefined for a blank line.
 * @param expected what the line should be, for an error
 * @param parse JSON.parse, or parseJson where the row is written again
 * @throws InputError at file:line:column where the line is not JSON
 */
export function readJsonLine(
  bytes: Bytes,
  { file, line }: { readonly file: string; readonly line: number },
  expected: string,
  parse: (text: string) => unknown = JSON.parse,
): { readonly value: unknown; readonly source: string } | undefined {
  const source = decodeUtf8(bytes, { file, line, column: 1 });
  if (line === 1 && beginsList(source)) throw listInLines(`${file}:1:1`);
  try {
    return { value: parse(source), source };
  } catch (cause) {
    if (source.trim() === "") return undefined;
    const at = scanJson(source).errorAt ?? source.length;
    const got = snippet(source.slice(at)) || "the end of the line";
    throw new InputError(`expected ${expected}, got ${got} here; write each object on one line of its own`, {
      place: `${file}:${line}:${[...source.slice(0, at)].length + 1}`,
      cause,
    });
  }
}
