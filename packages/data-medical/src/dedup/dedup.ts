import { resolve } from "node:path";
import { InputError } from "@medgpt/artifacts";
import type { RunContext } from "@medgpt/core/run";
import { OneFormat } from "../one-format.js";
import { writeOutputs } from "../output-files.js";
import { checkOut, findRowFiles, mapRows } from "../row-inputs.js";
import { usualFormatIn } from "../row-content.js";
import { Deduplicator } from "./deduplicator.js";
import type { DedupConfig } from "./config.js";

/** Writes the rows that repeat none before them, and where the others are. */
export async function runDedup(config: DedupConfig, context: RunContext): Promise<void> {
  const { from, by, near, seed, out, duplicates, threads } = config;
  await checkOut("out", out, config.overwrite);
  await checkOut("duplicates", duplicates, config.overwrite);
  if (duplicates !== null && resolve(duplicates) === resolve(out))
    throw new InputError("--duplicates: expected another file than --out", { place: duplicates });
  const found = await findRowFiles(config.in);
  const dedup = new Deduplicator(found.files, near);
  const format = new OneFormat();
  await writeOutputs(duplicates === null ? [out] : [out, duplicates], async ([kept, list]) => {
    const usual = await usualFormatIn(found.files, from);
    const options = { from, usual, by, near: near !== null, seed };
    for await (const part of mapRows(found, "dedup", options, { ...context, threads })) {
      format.check(part.formats);
      await dedup.add(part, kept!, list);
    }
  });
  const { rows, exact, nearly } = dedup;
  const kept = rows - exact - nearly;
  context.log({ type: "saved", what: `${kept} rows`, path: out });
  context.log({
    type: "answer",
    lines: [`${rows} rows: ${kept} kept, ${exact} exact and ${nearly} near duplicates left out`],
    value: { type: "dedup", rows, kept, exact, near: nearly },
  });
}
