// Brings the option tables of the stages' READMEs up to date with their schemas. Run it after `npx tsc -b`.
import { updateOptionTable } from "../packages/core/dist/config/index.js";
import { pretrainSchema } from "../packages/pretrain/dist/config.js";

const stages = { pretrain: pretrainSchema };

for (const [name, schema] of Object.entries(stages)) {
  const changed = updateOptionTable(new URL(`../packages/${name}/README.md`, import.meta.url), schema);
  console.log(`packages/${name}/README.md: ${changed ? "updated" : "current"}`);
}
