/**
 * Proves that lint refuses imports against the direction of the layers, and inside core against that of its floors and in
 * circles. Nx's rule skips itself, and lint passes, when it finds no project graph; the rules of import-x see nothing when
 * they cannot resolve a path. So this lints forbidden lines as if they stood in a package, and fails unless each is reported.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { ESLint } from "eslint";
import tseslint from "typescript-eslint";

const LAYERS = /can only depend on libs tagged|Circular dependency/;

const FLOORS = /stands below it/;
const CYCLE = /Dependency cycle/;
const MEMORY = 'import { extent } from "../backends/js/memory.js";';

/** A line as if it stood in a package: in `file`, which may exist, or in one that does not. */
const cases = [
  { in: "artifacts", line: 'import "@medgpt/core";', report: LAYERS },
  { in: "artifacts", line: 'import { parse } from "yaml"; parse("");', report: /Transitive/ },
  { in: "core", line: 'import "@medgpt/pretrain";', report: LAYERS },
  { in: "core", line: 'import "@medgpt/cli";', report: LAYERS },
  { in: "core", line: 'export { InputError } from "../../artifacts/src/medgpt-error.js";', report: /relative|path/ },
  { in: "core", line: 'export const load = () => import("@medgpt/native");' },
  { in: "pretrain", line: 'import "@medgpt/cli";', report: LAYERS },
  { in: "pretrain", line: 'import type { Backend } from "@medgpt/native"; export type B = Backend;', report: LAYERS },
  { in: "pretrain", line: 'export const load = () => import("@medgpt/native");', report: LAYERS },
  { in: "pretrain", line: 'import "@tensorflow/tfjs-core";', report: /TensorFlow/ },
  { in: "pretrain", line: 'export const load = () => import("@tensorflow/tfjs-node");', report: /TensorFlow/ },
  { in: "pretrain", line: 'import "@medgpt/core"; import "@medgpt/artifacts";' },
  { in: "cli", line: 'import "@medgpt/core"; export const load = () => import("@medgpt/pretrain");' },
  // Circles of types, and imports for effects alone, are none for the rule.
  { in: "core", file: "numeric/half.ts", line: `${MEMORY} export const a = extent;`, report: CYCLE },
  { in: "core", file: "numeric/half.ts", line: `${MEMORY} export const a = extent;`, report: FLOORS },
  { in: "core", file: "ops/add.ts", line: 'import "../models/index.js";', report: FLOORS },
  { in: "core", file: "ops/no-such-file.ts", line: 'import type { Row } from "../models/index.js";', report: FLOORS },
  { in: "core", file: "models/no-such-file.ts", line: 'import "../ops/add.js";' },
  ...betweenStages(),
];

/** Every stage importing every other, by value. */
function betweenStages() {
  const stages = readdirSync("packages").filter((name) => {
    const { nx } = JSON.parse(readFileSync(`packages/${name}/package.json`, "utf8"));
    return nx?.tags?.includes("layer:stage");
  });
  return stages.flatMap((from) =>
    stages.filter((to) => to !== from).map((to) => ({ in: from, line: `import "@medgpt/${to}";`, report: LAYERS })),
  );
}

// Any Nx command leaves the project graph where the rule looks for it.
execFileSync(process.execPath, ["node_modules/nx/dist/bin/nx.js", "show", "projects"], {
  stdio: ["ignore", "ignore", "inherit"],
  env: { ...process.env, NX_DAEMON: "false", NX_NO_CLOUD: "true" },
});

const eslint = new ESLint({ overrideConfig: [tseslint.configs.disableTypeChecked] });
let failed = 0;
for (const { in: name, file = "no-such-file.ts", line, report } of cases) {
  const filePath = `packages/${name}/src/${file}`;
  const [result] = await eslint.lintText(`${line}\n`, { filePath });
  const messages = result.messages.map(({ message }) => message);
  const right = report === undefined ? messages.length === 0 : messages.some((message) => report.test(message));
  if (right) continue;
  failed++;
  const expected = report === undefined ? "no report" : `a report like ${report}`;
  console.error(`${filePath}: ${line}\n  expected ${expected}, found ${messages.join("; ") || "none"}`);
}
console.log(`check-boundaries: ${cases.length - failed} of ${cases.length} imports judged as they should be`);
process.exitCode = failed === 0 ? 0 : 1;
