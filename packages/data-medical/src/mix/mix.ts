import { InputError } from "@medgpt/artifacts";
import { say, type RunContext } from "@medgpt/core/run";
import { chooseRows, countRows } from "../choose-rows.js";
import { OneFormat } from "../one-format.js";
import { writeOutputs } from "../output-files.js";
import { random } from "../random.js";
import { checkOut, findRowFiles } from "../row-inputs.js";
import { shareOut } from "./share-out.js";
import type { MixConfig } from "./config.js";

/** Counts the rows of the sources, and writes as many of each as its weight is due. */
export async function runMix(config: MixConfig, context: RunContext): Promise<void> {
  const { seed, out, exhausted } = config;
  await checkOut("out", out, config.overwrite);
  const named = config.in.map(parseSource);
  const format = new OneFormat();
  const sources = [];
  for (const { name, weight } of named) {
    const found = await findRowFiles([name]);
    const rows = await countRows(found, format, { ...config, ...context });
    if (rows === 0) throw new InputError("expected rows to mix, got none", { place: name });
    sources.push({ name, weight, rows, files: found.files });
  }
  const counts = shareOut(sources, config.rows, exhausted);
  const total = counts.reduce((sum, count) => sum + count);
  if (total === 0) throw new InputError("the sources have too few rows for these weights; take --exhausted repeat");
  if (config.rows !== null && total < config.rows) {
    const text = `${total} rows are written, not ${config.rows}, because a source has no more for its share; --exhausted repeat takes rows again`;
    say(context, text, "warn");
  }

  const lines = sources.map(({ files, rows }, i) => chooseRows(files, counts[i]!, rows, seed + i + 1));
  try {
    await writeOutputs([out], async ([file]) => {
      const next = random(seed);
      const left = [...counts];
      for (let rows = total; rows > 0; rows--) {
        // Each source as likely as it has rows left, so that every order of the sources is as likely as any other.
        let at = Math.floor(next() * rows);
        let source = 0;
        while (at >= left[source]!) at -= left[source++]!;
        left[source]!--;
        const line = lines[source]!.next();
        await file!.write((line instanceof Promise ? await line : line)!);
        if (rows % 1024 === 0) context.signal?.throwIfAborted();
      }
    });
  } finally {
    for (const each of lines) await each.close();
  }
  context.log({ type: "saved", what: `${total} rows`, path: out });
  const written = sources.map(({ name, rows }, i) => ({
    source: name,
    rows: counts[i]!,
    of: rows,
    share: counts[i]! / total,
  }));
  context.log({
    type: "answer",
    lines: written.map(
      ({ source, rows, of, share }) =>
        `${source}: ${rows} rows (${(100 * share).toFixed(2)} %), ${rows > of ? `its ${of} up to ${Math.ceil(rows / of)} times` : `of ${of}, none twice`}`,
    ),
    value: { type: "mix", rows: total, sources: written },
  });
}

/** "FILE:0.7"; the name may have colons too. */
function parseSource(word: string): { name: string; weight: number } {
  const [, name, weight] = /^(.+):([^:]*)$/.exec(word) ?? [];
  if (name === undefined || !(Number(weight) > 0) || !Number.isFinite(Number(weight)))
    throw new InputError(`expected FILE:WEIGHT with a weight of more than 0, such as ${word.split(":")[0]}:0.7`, {
      place: word,
    });
  return { name, weight: Number(weight) };
}
