import { rm } from "node:fs/promises";
import { join } from "node:path";
import { InputError, writeArtifact, type Details } from "@medgpt/artifacts";
import { checkFolder } from "@medgpt/core/training";
import type { RunContext } from "@medgpt/core/run";
import { packageVersion } from "../convert/write-converted.js";
import { OneFormat } from "../one-format.js";
import { writeOutputs } from "../output-files.js";
import { findRowFiles, mapRows } from "../row-inputs.js";
import { usualFormatIn } from "../row-content.js";
import { SPLITS } from "./split-task.js";
import type { SplitConfig } from "./config.js";

/** Writes a dataset artifact with a file for each split that has rows. */
export async function runSplit(config: SplitConfig, context: RunContext): Promise<void> {
  const { from, by, validation, test, seed, out, threads } = config;
  await checkFolder("out", out);
  const found = await findRowFiles(config.in);
  const format = new OneFormat();
  const counts = SPLITS.map(() => 0);
  // Known when all is read; the manifest is written after that.
  const details: Details["dataset"] = { format: "text", splits: {} };
  const fill = async (dir: string): Promise<void> => {
    const paths = SPLITS.map((split) => join(dir, `${split}.jsonl`));
    await writeOutputs(paths, async (files) => {
      const usual = await usualFormatIn(found.files, from);
      const options = { from, usual, by, validation, test, seed };
      for await (const part of mapRows(found, "split", options, { ...context, threads })) {
        format.check(part.formats);
        for (const [split, file] of files.entries()) {
          counts[split]! += part.rows[split]!;
          await file.write(part.lines[split]!);
        }
      }
      if (format.kind === undefined) throw new InputError("expected rows, got none", { place: config.in.join(", ") });
      details.format = format.kind;
    });
    for (const [split, path] of paths.entries()) {
      if (counts[split] === 0) await rm(path);
      else details.splits[SPLITS[split]!] = { files: [`${SPLITS[split]}.jsonl`], rows: counts[split]! };
    }
  };
  const recorded = { ...config, threads: undefined }; // which changes nothing in the data
  const createdBy = { package: "@medgpt/data-medical", version: packageVersion(), config: recorded };
  const description = { kind: "dataset" as const, details, createdBy, inputs: [] };
  await writeArtifact(out, description, fill, { overwrite: config.overwrite });
  context.log({ type: "saved", what: "the data set", path: out });
  const rows = Object.fromEntries(SPLITS.map((split, i) => [split, counts[i]!] as const).reverse());
  const total = counts.reduce((sum, count) => sum + count);
  context.log({
    type: "answer",
    lines: Object.entries(rows).map(([split, n]) => `${split}: ${n} rows (${((100 * n) / total).toFixed(2)} %)`),
    value: { type: "split", rows },
  });
}
