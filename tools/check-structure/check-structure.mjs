/**
 * Checks that every package has what its users need, the packages that its sources import among its dependencies above all: in
 * the workspace an import works without them. And that every stage has the files and exports that a reader of another stage
 * will look for. A stage that trains is one command; one of data (data-…) is several, each in a folder of its own.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const FILES = ["bin", "src/index.ts", "src/command.ts"];
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
  if (!isData(name) && !manifest.files?.includes("presets")) missing.push('"presets" in "files" of package.json');
  if (manifest.bin?.[bin] === undefined) missing.push(`"bin": { "${bin}": … } in package.json`);
  return missing;
}

/** The packages of the workspace that the sources of one import, tests left out. */
function imports(dir) {
  const files = readdirSync(join(dir, "src"), { recursive: true }).filter(
    (name) => name.endsWith(".ts") && !/\.(test|test-d)\.ts$/.test(name) && !name.startsWith("testing/"),
  );
  const found = files.flatMap((name) => [
    ...readFileSync(join(dir, "src", name), "utf8").matchAll(/(?:from|import\()\s*"@medgpt\/([\w-]+)/g),
  ]);
  return [...new Set(found.map(([, name]) => name))];
}

/** What is wrong with the links of a package's documents, and whether npm packs its docs, one line each. */
function brokenLinks(dir, manifest) {
  const docs = existsSync(join(dir, "docs")) ? readdirSync(join(dir, "docs")).map((name) => `docs/${name}`) : [];
  const broken = docs.length > 0 && !manifest.files?.includes("docs") ? ['"docs" in "files" of package.json'] : [];
  for (const name of ["README.md", ...docs].filter((name) => existsSync(join(dir, name)))) {
    for (const [, link] of readFileSync(join(dir, name), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g))
      if (!existsSync(join(dir, dirname(name), link))) broken.push(`${link}, which ${name} links to`);
  }
  return broken;
}

/** What any package lacks, one line each. */
function packageLacks(dir, manifest) {
  const missing = existsSync(join(dir, "README.md")) ? [] : ["README.md"];
  const licence = join(dir, "LICENSE");
  if (!existsSync(licence) || readFileSync(licence, "utf8") !== readFileSync("LICENSE", "utf8"))
    missing.push("LICENSE, the same as the repository's");
  for (const key of ["description", "keywords", "license", "engines"])
    if (manifest[key] === undefined) missing.push(`"${key}" in package.json`);
  if (!existsSync(join(dir, "tsconfig.json"))) return missing; // written in Rust
  const tsconfig = JSON.parse(readFileSync(join(dir, "tsconfig.json"), "utf8"));
  const references = (tsconfig.references ?? []).map(({ path }) => path.replace("../", ""));
  const listed = { ...manifest.dependencies, ...manifest.peerDependencies, ...manifest.optionalDependencies };
  for (const name of imports(dir)) {
    if (listed[`@medgpt/${name}`] === undefined)
      missing.push(`@medgpt/${name} among its dependencies, which it imports`);
    if (name !== "native" && !references.includes(name)) missing.push(`a reference to ../${name} in tsconfig.json`);
  }
  return missing;
}

const all = readdirSync("packages").map((name) => {
  const dir = join("packages", name);
  const manifest = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
  const isStage = manifest.nx?.tags?.includes("layer:stage") === true;
  const missing = [
    ...packageLacks(dir, manifest),
    ...brokenLinks(dir, manifest),
    ...(isStage ? lacks(dir, name, manifest) : []),
  ];
  for (const what of missing) console.error(`packages/${name} lacks ${what}`);
  return { isStage, missing };
});
const stages = all.filter(({ isStage }) => isStage).length;
const failed = all.filter(({ missing }) => missing.length > 0).length;
console.log(
  `check-structure: ${all.length - failed} of ${all.length} packages, ${stages} of them stages, have all they need`,
);
process.exitCode = failed === 0 && stages > 0 ? 0 : 1;
