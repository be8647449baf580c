/** A JSON list in a file whose name says that it has a JSON object on each line. */
import { InputError } from "@medgpt/artifacts";

/** Whether the first line of a file is that of a list, whole or begun. */
export function beginsList(line: string): boolean {
  return /^\s*\[\s*(?:\{|$)/.test(line);
}

export function listInLines(place: string): InputError {
  const message =
    "expected a JSON object on each line, got a list; if the file is one JSON list, give it a name that ends in .json";
  return new InputError(message, { place });
}
