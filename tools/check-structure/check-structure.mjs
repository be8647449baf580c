/**
 * Checks that every stage has the files and exports that a reader of another stage will look for. A stage that trains is one
 * command; one of data (data-…) is several, each in a folder of its own.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const FILES = ["README.md", "bin", "src/index.ts", "src/command.ts"];
const TRAINING_FILES = ["presets", "src/config.ts", "src/data.ts", "src/loss.ts", "src/recipe.ts"];
const VERB_FILES = ["config.ts", "command.ts"];

const isData = (name) => name.startsWith("data-");

/** The files of a data stage's verbs, by the folders that src/command.ts loads them from. */
function verbFiles(dir) {
  const path = join(dir, "src/command.ts");
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const verbs = [...text.matchAll(/import\("\.\/([\w-]+)\/command\.js"\)/g)].map(([, verb]) => verb);
  return verbs.length === 0
    ? ["src/<verb>/command.ts"]
    : verbs.flatMap((verb) => VERB_FILES.map((file) => `src/${verb}/${file}`));
}

/** "tokenizer-extend" is the stage TokenizerExtend. */
const pascalCase = (name) => name.replace(/(^|-)(\w)/g, (_, _dash, letter) => letter.toUpperCase());

/** What a stage lacks, one line each. */
function lacks(dir, name, manifest) {
  const files = [...FILES, ...(isData(name) ? verbFiles(dir) : TRAINING_FILES)];
  const missing = files.filter((file) => !existsSync(join(dir, file)));
  const index = existsSync(join(dir, "src/index.ts")) ? readFileSync(join(dir, "src/index.ts"), "utf8") : "";
  for (const symbol of isData(name) ? ["command"] : [`run${pascalCase(name)}`, `${pascalCase(name)}Config`]) {
    const listed = new RegExp(`export\\s*(type\\s*)?\\{[^}]*\\b${symbol}\\b[^}]*\\}`).test(index);
    if (!listed) missing.push(`the export ${symbol} in src/index.ts`);
  }
  if (/export \*/.test(index)) missing.push("an explicit list in src/index.ts (it has export *)");
  if (manifest.sideEffects !== false) missing.push('"sideEffects": false in package.json');
  const bin = `medgpt-${name}`;
  if (manifest.bin?.[bin] === undefined) missing.push(`"bin": { "${bin}": … } in package.json`);
  return missing;
}

const stages = readdirSync("packages")
  .map((name) => ({ name, manifest: JSON.parse(readFileSync(join("packages", name, "package.json"), "utf8")) }))
  .filter(({ manifest }) => manifest.nx?.tags?.includes("layer:stage"));

let failed = 0;
for (const { name, manifest } of stages) {
  const missing = lacks(join("packages", name), name, manifest);
  if (missing.length > 0) failed++;
  for (const what of missing) console.error(`packages/${name} lacks ${what}`);
}
console.log(`check-structure: ${stages.length - failed} of ${stages.length} stages have the shape of a stage`);
process.exitCode = failed === 0 && stages.length > 0 ? 0 : 1;
