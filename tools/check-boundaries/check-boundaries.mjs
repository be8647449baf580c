/**
 * Proves that lint refuses imports against the direction of the layers. Nx's rule skips itself, and lint passes, when it finds
 * no project graph; so this lints forbidden lines as if they stood in a package, and fails unless each is reported.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { ESLint } from "eslint";
import tseslint from "typescript-eslint";

const LAYERS = /can only depend on libs tagged|Circular dependency/;

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
for (const { in: name, line, report } of cases) {
  const [result] = await eslint.lintText(`${line}\n`, { filePath: `packages/${name}/src/no-such-file.ts` });
  const messages = result.messages.map(({ message }) => message);
  const right = report === undefined ? messages.length === 0 : messages.some((message) => report.test(message));
  if (right) continue;
  failed++;
  const expected = report === undefined ? "no report" : `a report like ${report}`;
  console.error(`packages/${name}: ${line}\n  expected ${expected}, found ${messages.join("; ") || "none"}`);
}
console.log(`check-boundaries: ${cases.length - failed} of ${cases.length} imports judged as they should be`);
process.exitCode = failed === 0 ? 0 : 1;
