import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "@medgpt/artifacts";
import { stringifySorted } from "./trainer-state.js";

/** Writes <split>_results.json and adds the metrics to all_results.json, as Trainer.save_metrics does. */
export async function writeResults(
  dir: string,
  split: "train" | "eval",
  metrics: Readonly<Record<string, number>>,
): Promise<void> {
  const all = join(dir, "all_results.json");
  const before = await readFile(all, "utf8").then(
    (text) => JSON.parse(text) as object,
    () => ({}),
  );
  await writeFileAtomic(join(dir, `${split}_results.json`), stringifySorted(metrics, 4));
  await writeFileAtomic(all, stringifySorted({ ...before, ...metrics }, 4));
}
