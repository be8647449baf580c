import { InputError, type DatasetFormat } from "@medgpt/artifacts";
import { FORMATS } from "./formats/formats.js";

/** Sees to it that all rows have one format. */
export class OneFormat {
  #first: { format: string; place: string } | undefined;

  /**
   * @param formats those of some rows, each with the place of its first
   * @throws InputError naming two that differ
   */
  check(formats: ReadonlyMap<string, string>): void {
    for (const [format, place] of formats) {
      this.#first ??= { format, place };
      if (format !== this.#first.format) {
        throw new InputError(
          `expected ${this.#first.format} as at ${this.#first.place}, got ${format}; convert them to one format`,
          { place },
        );
      }
    }
  }

  /** undefined where there were no rows. */
  get kind(): DatasetFormat | undefined {
    return FORMATS.find(({ name }) => name === this.#first?.format)?.kind;
  }
}
