import type { DatasetFormat } from "@medgpt/artifacts";
import { snippet, type DataRow } from "@medgpt/core/data";

import type { Format } from "./format.js";
import { FORMATS } from "./formats.js";
import { RefusedRow } from "./refused-row.js";

/**
 * Of kinds that fit a row, the first counts: a preference has the columns of a prompt too, and a chat may have those of a
 * prompt or a text that was made of it.
 */
const KINDS: readonly DatasetFormat[] = ["preference", "chat", "prompt", "text"];

export interface Detected {
  readonly format: Format;
  /** By which it was known. */
  readonly columns: readonly string[];
}

/**
 * The format of a row by its columns.
 * @throws RefusedRow where none fits, or two of the same kind do
 */
export function detectFormat(row: DataRow): Detected {
  const fitting = FORMATS.flatMap((format): Detected[] => {
    const columns = format.matches(row);
    return columns === undefined ? [] : [{ format, columns }];
  });
  const kind = KINDS.find((kind) => fitting.some(({ format }) => format.kind === kind));
  const [found, other] = fitting.filter(({ format }) => format.kind === kind);
  if (found === undefined) {
    const columns = Object.keys(row)
      .map((column) => snippet(column))
      .join(", ");
    throw new RefusedRow(
      `the columns (${columns || "none"}) fit no format; rename them, or name the format with --from`,
    );
  }
  if (other !== undefined)
    throw new RefusedRow(`the columns fit both ${describe(found)} and ${describe(other)}; name the format with --from`);
  return found;
}

/** A format with the columns by which it was known. */
export function describe({ format, columns }: Detected): string {
  return `${format.name} (${columns.join(", ")})`;
}
