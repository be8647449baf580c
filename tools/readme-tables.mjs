// Brings the option tables of the packages' READMEs up to date with their schemas. Run it after `npx tsc -b`.
import { updateOptionTable } from "../packages/core/dist/config/index.js";
import { mergeSchema } from "../packages/cli/dist/config.js";
import { convertSchema } from "../packages/data-medical/dist/convert/config.js";
import { dedupSchema } from "../packages/data-medical/dist/dedup/config.js";
import { lintSchema } from "../packages/data-medical/dist/lint/config.js";
import { mixSchema } from "../packages/data-medical/dist/mix/config.js";
import { pullSchema } from "../packages/data-medical/dist/pull/config.js";
import { sampleSchema } from "../packages/data-medical/dist/sample/config.js";
import { splitSchema } from "../packages/data-medical/dist/split/config.js";
import { statsSchema } from "../packages/data-medical/dist/stats/config.js";
import { pretrainSchema } from "../packages/pretrain/dist/config.js";
import { sftSchema } from "../packages/sft/dist/config.js";

/** Package, schema and, where a README has the tables of several commands, the command. */
const tables = [
  ["cli", mergeSchema],
  ["data-medical", convertSchema, "convert"],
  ["data-medical", pullSchema, "pull"],
  ["data-medical", lintSchema, "lint"],
  ["data-medical", statsSchema, "stats"],
  ["data-medical", mixSchema, "mix"],
  ["data-medical", splitSchema, "split"],
  ["data-medical", dedupSchema, "dedup"],
  ["data-medical", sampleSchema, "sample"],
  ["pretrain", pretrainSchema],
  ["sft", sftSchema],
];

for (const [name, schema, command] of tables) {
  const changed = updateOptionTable(new URL(`../packages/${name}/README.md`, import.meta.url), schema, command);
  console.log(`packages/${name}/README.md${command ? ` (${command})` : ""}: ${changed ? "updated" : "current"}`);
}
