/**
 * JSON spelt as Python's json.dumps(json.loads(text), ensure_ascii=False) spells it: ", " and ": ", or one value a line with
 * `indent`. Works on the text, since a JavaScript number does not know whether it was written 1 or 1.0.
 */
import { Float, represent } from "../tokenizer/jinja/values.js";

const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/g;

/** @param text valid JSON */
export function pythonJson(text: string, indent?: number): string {
  const tokens = text.match(TOKEN) ?? [];
  let [out, depth] = ["", 0];
  const newLine = (): string => (indent === undefined ? "" : `\n${" ".repeat(indent * depth)}`);
  tokens.forEach((token, index) => {
    const empty = /^[{[]$/.test(tokens[index - 1] ?? "") && /^[}\]]$/.test(token);
    if (token === "{" || token === "[") {
      depth++;
      out += token + (/^[}\]]$/.test(tokens[index + 1] ?? "") ? "" : newLine());
    } else if (token === "}" || token === "]") {
      depth--;
      out += (empty ? "" : newLine()) + token;
    } else if (token === ",") out += indent === undefined ? ", " : `,${newLine()}`;
    else if (token === ":") out += ": ";
    else if (token.startsWith('"')) out += JSON.stringify(JSON.parse(token));
    else if (/^-?\d/.test(token)) out += number(token);
    else out += token;
  });
  return out;
}

function number(token: string): string {
  return /[.eE]/.test(token) ? represent(new Float(Number(token))) : String(BigInt(token));
}

/** The texts of the elements of a list. */
export function listElements(text: string): string[] {
  const elements: string[] = [];
  let [depth, start] = [0, 0];
  for (const { 0: token, index } of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") {
      if (depth++ === 0) start = index + 1;
    } else if (token === "}" || token === "]") depth--;
    const ends = depth === 0 || (depth === 1 && token === ",");
    const element = ends ? text.slice(start, index).trim() : "";
    if (ends) start = index + 1;
    if (element !== "") elements.push(element);
  }
  return elements;
}

const KEY = /^"(?:[^"\\]|\\.)*"/;

/** The fields of an object, each with the text of its value. */
export function fieldsOf(object: string): [key: string, value: string][] {
  // Fields are the elements of the list between the braces; the first colon follows the key.
  return listElements(`[${object.trim().slice(1, -1)}]`).map((field) => {
    const key = KEY.exec(field)![0];
    return [JSON.parse(key) as string, field.slice(field.indexOf(":", key.length) + 1).trim()];
  });
}

/** The text of a field of an object that has it; of a repeated key the last counts. */
export function valueOf(object: string, key: string): string {
  return fieldsOf(object).findLast(([name]) => name === key)![1];
}
