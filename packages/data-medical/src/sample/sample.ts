import { InputError } from "@medgpt/artifacts";
import type { RunContext } from "@medgpt/core/run";
import { chooseRows, countRows } from "../choose-rows.js";
import { OneFormat } from "../one-format.js";
import { writeOutputs } from "../output-files.js";
import { checkOut, findRowFiles } from "../row-inputs.js";
import type { SampleConfig } from "./config.js";

/** Counts rows, and writes some of them. */
export async function runSample(config: SampleConfig, context: RunContext): Promise<void> {
  const { rows, seed, out } = config;
  await checkOut("out", out, config.overwrite);
  const found = await findRowFiles(config.in);
  const total = await countRows(found, new OneFormat(), { ...config, ...context });
  if (rows > total) throw new InputError(`--rows: expected at most ${total}, which is how many there are, got ${rows}`);
  const lines = chooseRows(found.files, rows, total, seed);
  try {
    await writeOutputs([out], async ([file]) => {
      for (let line = await lines.next(); line !== undefined; line = await lines.next()) {
        await file!.write(line);
        context.signal?.throwIfAborted();
      }
    });
  } finally {
    await lines.close();
  }
  context.log({ type: "saved", what: `${rows} of ${total} rows`, path: out });
}
