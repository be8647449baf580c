import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { readJsonObject } from "../checkpoint/read-json-object.js";
import { stringifySorted } from "./trainer-state.js";

/** Writes <split>_results.json and adds the metrics to all_results.json, as Trainer.save_metrics does. */
export async function writeResults(
  dir: string,
  split: "train" | "eval",
  metrics: Readonly<Record<string, number>>,
): Promise<void> {
  const all = join(dir, "all_results.json");
  // What cannot be read is replaced: it is a summary of other files.
  const before = (await readJsonObject(all).catch(() => undefined)) ?? {};
  await writeFileAtomic(join(dir, `${split}_results.json`), stringifySorted(metrics, 4));
  await writeFileAtomic(all, stringifySorted({ ...before, ...metrics }, 4));
}
