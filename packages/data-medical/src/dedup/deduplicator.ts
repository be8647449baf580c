import { ExactDuplicates, NearDuplicates, SIGNATURE_SIZE } from "../near-duplicates/index.js";
import type { OutputFile } from "../output-files.js";
import { rowPlace } from "../parallel/chunk.js";
import { wholeLine } from "../parallel/chunk-rows.js";
import type { ComparableChunk } from "./dedup-task.js";

/** Numbers in the order of their coming. */
class Numbers {
  #values = new Uint32Array(1 << 10);
  #length = 0;

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  at(index: number): number {
    return this.#values[index]!;
  }
}

/** Decides row after row whether it repeats an earlier one, and writes it where it belongs. */
export class Deduplicator {
  rows = 0;
  exact = 0;
  nearly = 0;
  readonly #files: readonly string[];
  readonly #prints = new ExactDuplicates();
  readonly #near: NearDuplicates | undefined;
  /** For each different text, its first place: index of the file, and line. */
  readonly #fileOf = new Numbers();
  readonly #lineOf = new Numbers();
  /** For each signature that is kept, the number of its text. */
  readonly #textOf = new Numbers();

  /** @param near the threshold for near duplicates, or null where only equal ones are left out */
  constructor(files: readonly string[], near: number | null) {
    this.#files = files;
    this.#near = near === null ? undefined : new NearDuplicates({ threshold: near });
  }

  /**
   * @param kept for the rows that repeat none
   * @param list for where the others are
   */
  async add(chunk: ComparableChunk, kept: OutputFile, list: OutputFile | undefined): Promise<void> {
    const { bytes, lines, ends, begins, fingerprints, signatures, signed } = chunk;
    for (let row = 0; row < lines.length; row++) {
      this.rows++;
      const equal = this.#prints.add([fingerprints[2 * row]!, fingerprints[2 * row + 1]!]);
      let found: { text: number; how: string } | undefined;
      if (equal !== undefined) {
        this.exact++;
        found = { text: equal, how: "exact" };
      } else {
        this.#fileOf.push(chunk.fileIndex);
        this.#lineOf.push(lines[row]!);
        if (this.#near !== undefined && signed[row] === 1) {
          const signature = signatures.subarray(row * SIGNATURE_SIZE, (row + 1) * SIGNATURE_SIZE);
          const alike = this.#near.find(signature);
          if (alike === undefined) {
            this.#near.add(signature);
            this.#textOf.push(this.#prints.size - 1);
          } else {
            this.nearly++;
            const how = this.#near.similarity(alike, signature).toFixed(2);
            found = { text: this.#textOf.at(alike), how };
          }
        }
      }
      if (found === undefined) await kept.write(wholeLine(bytes, begins[row]!, ends[row]!));
      else if (list !== undefined) {
        const place = rowPlace(this.#files[chunk.fileIndex]!, lines[row]!);
        const first = rowPlace(this.#files[this.#fileOf.at(found.text)]!, this.#lineOf.at(found.text));
        await list.write(Buffer.from(`${place}\t${first}\t${found.how}\n`));
      }
    }
  }
}
