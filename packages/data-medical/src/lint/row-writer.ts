import { extname } from "node:path";
import type { Bytes } from "@medgpt/core/text";
import type { OutputFile } from "../output-files.js";

/** Writes rows as the file that they come from has them: lines, or a list of JSON. */
export class RowWriter {
  readonly #file: OutputFile;
  readonly #isList: boolean;
  #rows = 0;

  constructor(file: OutputFile) {
    this.#file = file;
    this.#isList = extname(file.path) === ".json";
  }

  async write(raw: string | Bytes): Promise<void> {
    if (this.#isList) await this.#file.write(Buffer.from(this.#rows++ === 0 ? "[\n" : ",\n"));
    await this.#file.write(Buffer.from(raw));
    if (!this.#isList) await this.#file.write(Buffer.from("\n"));
  }

  async end(): Promise<void> {
    if (this.#isList) await this.#file.write(Buffer.from(this.#rows === 0 ? "[]\n" : "\n]\n"));
  }
}
