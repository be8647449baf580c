// Brings the option tables of the packages' documents up to date with their schemas. Run it after `npx tsc -b`.
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

/** Document, schema and, where it has the tables of several commands, the command. */
const tables = [
  ["cli/README.md", mergeSchema],
  ["data-medical/docs/options.md", convertSchema, "convert"],
  ["data-medical/docs/options.md", pullSchema, "pull"],
  ["data-medical/docs/options.md", lintSchema, "lint"],
  ["data-medical/docs/options.md", statsSchema, "stats"],
  ["data-medical/docs/options.md", mixSchema, "mix"],
  ["data-medical/docs/options.md", splitSchema, "split"],
  ["data-medical/docs/options.md", dedupSchema, "dedup"],
  ["data-medical/docs/options.md", sampleSchema, "sample"],
  ["pretrain/docs/options.md", pretrainSchema],
  ["sft/docs/options.md", sftSchema],
];

for (const [name, schema, command] of tables) {
  const changed = updateOptionTable(new URL(`../packages/${name}`, import.meta.url), schema, command);
  console.log(`packages/${name}${command ? ` (${command})` : ""}: ${changed ? "updated" : "current"}`);
}
