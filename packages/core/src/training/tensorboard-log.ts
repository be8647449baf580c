/// <reference lib="esnext.disposable" preserve="true" />
import { createTensorBoardWriter, defaultLoggingDir, tensorBoardTag, type TensorBoardWriter } from "./tensorboard.js";
import type { LogRow } from "./trainer-state.js";

export interface LogFlags {
  readonly report_to: readonly string[];
  readonly logging_dir: string | null;
  readonly output_dir: string;
}

/** The TensorBoard files of a run, which are begun with the first row. */
export class TensorBoardLog implements Disposable {
  #dir: string;
  #writer: TensorBoardWriter | undefined;

  /** @param writes whether this process writes files */
  constructor(
    private readonly flags: LogFlags,
    private readonly writes: boolean,
  ) {
    this.#dir = flags.logging_dir ?? defaultLoggingDir(flags.output_dir, new Date());
  }

  /** Their folder, where the run has chosen it and it is to be found again; undefined else. */
  get dir(): string | undefined {
    return this.flags.logging_dir === null && this.#reports ? this.#dir : undefined;
  }

  get #reports(): boolean {
    return !this.flags.report_to.includes("none");
  }

  /** Takes the folder of the run that this one goes on from, unless the user named another. */
  goOnIn(before: string): void {
    if (this.flags.logging_dir === null) this.#dir = before;
  }

  /** Writes every value of a row under the tag that the transformers Trainer gives it. */
  add(row: LogRow): void {
    if (!this.writes || !this.#reports) return;
    this.#writer ??= createTensorBoardWriter(this.#dir);
    for (const [key, value] of Object.entries(row))
      if (key !== "step") this.#writer.scalar(tensorBoardTag(key), value, row["step"] ?? 0);
  }

  [Symbol.dispose](): void {
    this.#writer?.close();
  }
}
