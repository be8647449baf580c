import { tensorBoardTag, type TensorBoardWriter } from "./tensorboard.js";
import type { LogRow } from "./trainer-state.js";

/** Writes every value of a logged row under the tag that the transformers Trainer gives it. */
export function writeLogRow(writer: TensorBoardWriter | undefined, row: LogRow): void {
  for (const [key, value] of Object.entries(row))
    if (key !== "step") writer?.scalar(tensorBoardTag(key), value, row["step"] ?? 0);
}
