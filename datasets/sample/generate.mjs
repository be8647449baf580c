/**
 * Writes the sample data. It is synthetic: put together from the tables in source/, for trying the tools out. It is not medical
 * advice and not checked by anyone who could give it.
 *
 *   node datasets/sample/generate.mjs [FOLDER]
 *
 * The same files come out every time.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { languages } from "./source/compose.mjs";
import { dialogues } from "./source/dialogues.mjs";
import { preferences } from "./source/preferences.mjs";
import { pretrainTexts } from "./source/pretrain.mjs";
import { prompts } from "./source/prompts.mjs";

const folder = process.argv[2] ?? import.meta.dirname;

function write(name, text) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Writes rows as JSON lines; one row, or group of rows that belong together, in `every` is for validation. */
function writeSplit(stage, language, rows, every, group = 1) {
  const held = (i) => Math.floor(i / group) % every === every >> 1;
  const lines = (keep) => rows.filter((_, i) => keep(i)).map((row) => JSON.stringify(row) + "\n");
  write(`${stage}/train/${language}.jsonl`, lines((i) => !held(i)).join(""));
  write(`${stage}/validation/${language}.jsonl`, lines(held).join(""));
}

for (const [name, text] of Object.entries(pretrainTexts())) write(name, text);
for (const [name, language] of Object.entries(languages)) {
  writeSplit("sft", name, dialogues(language), 15);
  writeSplit("reward", name, preferences(language), 10, 3); // a row of each category
  writeSplit("prompts", name, prompts(language), 10);
}
