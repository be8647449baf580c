import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { readJsonObject } from "../json/read-json-object.js";
import { stringifySorted } from "./trainer-state.js";

const ALL = "all_results.json";

/** The files that `writeResults` writes. */
export const resultFiles: readonly string[] = [ALL, "train_results.json", "eval_results.json"];

/** Writes <split>_results.json and adds the metrics to all_results.json, as Trainer.save_metrics does. */
export async function writeResults(
  dir: string,
  split: "train" | "eval",
  metrics: Readonly<Record<string, number>>,
): Promise<void> {
  const all = join(dir, ALL);
  // What cannot be read is replaced: it is a summary of other files.
  const before = (await readJsonObject(all).catch(() => undefined)) ?? {};
  await writeFileAtomic(join(dir, `${split}_results.json`), stringifySorted(metrics, 4));
  await writeFileAtomic(all, stringifySorted({ ...before, ...metrics }, 4));
}
