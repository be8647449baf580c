import { writeFileAtomic } from "@medgpt/artifacts";
import type { RunContext } from "@medgpt/core/run";
import { makeFolderOf } from "../output-files.js";
import { checkOut, findRowFiles, mapRows } from "../row-inputs.js";
import { FileStats } from "./file-stats.js";
import { statsPage } from "./page.js";
import { reportLines, reportValue } from "./report.js";
import type { StatsConfig } from "./config.js";

/** Counts rows, turns and lengths of files, prints the counts, and writes them as a page if one is asked for. */
export async function runStats(config: StatsConfig, context: RunContext): Promise<void> {
  await checkOut("html", config.html, config.overwrite);
  const found = await findRowFiles(config.in);
  const counted = new Map(found.files.map((file) => [file, new FileStats()]));
  const all = new FileStats();
  for await (const { fileIndex, stats } of mapRows(found, "stats", config, { ...context, threads: config.threads })) {
    counted.get(found.files[fileIndex]!)!.merge(stats);
    if (counted.size > 1) all.merge(stats);
  }
  if (counted.size > 1) counted.set("all files", all);
  if (config.html !== null) {
    await makeFolderOf(config.html);
    await writeFileAtomic(config.html, statsPage(config.in.join(", "), counted));
    context.log({ type: "saved", what: "the page", path: config.html });
  }
  context.log({
    type: "answer",
    lines: [...counted].flatMap(([file, stats]) => reportLines(file, stats)),
    value: {
      type: "stats",
      files: Object.fromEntries([...counted].map(([file, stats]) => [file, reportValue(stats)])),
    },
  });
}
