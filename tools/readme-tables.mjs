// Brings the option tables of the packages' READMEs up to date with their schemas. Run it after `npx tsc -b`.
import { updateOptionTable } from "../packages/core/dist/config/index.js";
import { mergeSchema } from "../packages/cli/dist/config.js";
import { pretrainSchema } from "../packages/pretrain/dist/config.js";
import { sftSchema } from "../packages/sft/dist/config.js";

const schemas = { cli: mergeSchema, pretrain: pretrainSchema, sft: sftSchema };

for (const [name, schema] of Object.entries(schemas)) {
  const changed = updateOptionTable(new URL(`../packages/${name}/README.md`, import.meta.url), schema);
  console.log(`packages/${name}/README.md: ${changed ? "updated" : "current"}`);
}
