import { InputError } from "@medgpt/artifacts";
import type { DataRow } from "@medgpt/core/data";
import { detectFormat } from "./formats/detect-format.js";
import type { Example } from "./formats/example.js";
import { usualFormatOf } from "./formats/read-examples.js";
import { FORMATS } from "./formats/formats.js";
import { RefusedRow } from "./formats/refused-row.js";

/** Text of a row, and who says it: a role, "chosen" or "rejected" of a preference, the "answer" to a prompt, or "text". */
export interface Said {
  readonly role: string;
  readonly text: string;
}

export interface RowContent {
  /** The name of the row's format. */
  readonly format: string;
  readonly said: readonly Said[];
}

/** The part of two rows that is compared: the first question of the user, or all text. */
export type ComparedBy = "prompt" | "row";

/** Reads rows in the format that is named, or in the one that their columns show. */
export type ContentReader = (row: DataRow, place: string) => RowContent;

/** A format by name, so that it can be sent to a thread, with the columns by which it is known. */
export interface UsualFormat {
  readonly name: string;
  readonly columns: readonly string[];
}

/** That of most of the first rows of files, for `contentReader`; null where none is to be found. */
export async function usualFormatIn(files: readonly string[], from: string | null): Promise<UsualFormat | null> {
  const found = from === null ? await usualFormatOf(files) : undefined;
  return found === undefined ? null : { name: found.format.name, columns: found.columns };
}

/**
 * @param usual that of the rows: one that lacks a part of it is not of another format, but is refused
 * @throws InputError (from the reader) for a row that the format refuses
 */
export function contentReader(from: string | null, usual: UsualFormat | null = null): ContentReader {
  const named = FORMATS.find(({ name }) => name === from);
  const expected = FORMATS.find(({ name }) => name === usual?.name);
  const like = expected && usual ? { format: expected, columns: usual.columns } : undefined;
  return (row, place) => {
    try {
      const format = named ?? detectFormat(row, like).format;
      return { format: format.name, said: saidIn(format.read(row)) };
    } catch (error) {
      if (!(error instanceof RefusedRow)) throw error;
      throw new InputError(error.message, { place, cause: error });
    }
  };
}

function saidIn(example: Example): Said[] {
  if (example.kind === "text") return [{ role: "text", text: example.text }];
  const said = example.turns.map(({ role, content }): Said => ({ role, text: content }));
  if (example.kind === "preference") {
    for (const role of ["chosen", "rejected"] as const)
      said.push({ role, text: example[role].map(({ content }) => content).join("\n") });
  }
  if (example.kind === "prompt" && example.answer !== null) said.push({ role: "answer", text: example.answer });
  return said;
}

/** The first turn of the user, where there is one, or all that a row says, with a character between them that texts lack. */
export function comparedText({ said }: RowContent, by: ComparedBy): string {
  const prompt = by === "prompt" ? said.find(({ role }) => role === "user") : undefined;
  if (prompt !== undefined) return prompt.text;
  return said.map(({ text }) => text).join("\0");
}
