/**
 * `npm test`: every check of the repository, one after the other, and their total on the last line. `-- --full` adds the tier
 * that takes minutes and gigabytes. A check that cannot run is skipped by name; under CI=true the checks themselves fail then.
 */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { buildNative, buildTypeScript, has, installPackages, root, SetupError } from "../setup/setup.mjs";
import { ensureVenv } from "../parity/venv.mjs";

const full = process.argv.includes("--full");
const ci = process.env.CI === "true";
const cache = join(root, ".cache/test");
process.chdir(root);

/** Test files that are named at the end. */
const SLOWEST = 10;
const totals = { passed: 0, failed: 0, skipped: 0 };
/** One line for each tier, printed together at the end with its seconds. */
const summary = [];
/** Lines about the slowest test files. */
const slowest = [];

/** Runs a program; resolves with its exit status and, where asked, what it printed (which is passed on too). */
function run(program, args, { env = {}, cwd = root, read = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", read ? "pipe" : "inherit", "inherit"],
    });
    let output = "";
    child.stdout?.on("data", (data) => {
      output += data;
      process.stdout.write(data);
    });
    child.on("error", (error) => resolve({ status: 1, output: String(error) }));
    child.on("close", (status) => resolve({ status: status ?? 1, output }));
  });
}

const node = (script, ...args) => run(process.execPath, [script, ...args], { env: NX });
const NX = { NX_DAEMON: "false", NX_NO_CLOUD: "true", NX_TUI: "false" };
const tool = (name) => join("node_modules", name);

/** Runs a tier, which returns its counts, and adds them up. */
async function tier(name, body) {
  console.log(`\n== ${name}`);
  const start = performance.now();
  const { passed = 0, failed = 0, skipped = 0, note = "" } = await body();
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  totals.passed += passed;
  totals.failed += failed;
  totals.skipped += skipped;
  const counts = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  summary.push(`${failed > 0 ? "FAIL" : "ok  "} ${name}: ${counts} in ${seconds} s${note && ` (${note})`}`);
}

/** A tier that is one check: a program that exits with 0. */
const check = (name, body) => tier(name, async () => ((await body()).status === 0 ? { passed: 1 } : { failed: 1 }));

/** A step of the set-up as a tier of one check. Returns what it returned, or undefined when it failed. */
async function prepare(name, body) {
  let result;
  await tier(name, () => {
    try {
      result = body() ?? "";
      return { passed: 1, note: result };
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      console.error(error.message);
      return { failed: 1 };
    }
  });
  return result;
}

/** vitest's counts from its JSON report. A file that could not be loaded, or an error outside tests, is one failure. */
async function vitest(env) {
  const report = join(cache, "vitest.json");
  const times = join(cache, "files.json");
  for (const path of [report, times]) rmSync(path, { force: true });
  const reporters = [
    ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    "--reporter=./tools/test/slow-files.mjs",
  ];
  const { status } = await run(process.execPath, [tool("vitest/vitest.mjs"), "run", ...reporters], { env });
  if (existsSync(times)) {
    const files = JSON.parse(readFileSync(times, "utf8"));
    for (const { file, seconds } of files.slice(0, SLOWEST))
      slowest.push(`${seconds.toFixed(1).padStart(8)} s  ${file}`);
  }
  if (!existsSync(report)) return { failed: 1, note: "no report" };
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const unloaded = testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const skipped = tests.filter(({ status }) => status !== "passed" && status !== "failed");
  for (const { fullName } of skipped) console.log(`skipped: ${fullName}`);
  const failed = tests.filter(({ status }) => status === "failed").length + unloaded.length;
  return { passed: numPassedTests, failed: failed === 0 && status !== 0 ? 1 : failed, skipped: skipped.length };
}

/** cargo's counts from its "test result:" lines. A build that fails is one failure. */
async function cargoTest() {
  const { status, output } = await run("cargo", ["test", "--release"], { cwd: "packages/native", read: true });
  let [passed, failed, skipped] = [0, 0, 0];
  for (const [, ok, bad, ignored] of output.matchAll(/^test result: .*? (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
    passed += Number(ok);
    failed += Number(bad);
    skipped += Number(ignored);
  }
  return { passed, failed: failed === 0 && status !== 0 ? 1 : failed, skipped };
}

/** The counts of parity scripts: one line a check. A script that says nothing, or ends badly, is one failure. */
async function parity(scripts, python) {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const script of scripts) {
    const { status, output } = await run(python, [join("tools/parity", script)], { read: true });
    const count = (word) => output.split("\n").filter((line) => line.startsWith(`${word} `)).length;
    const bad = count("not ok");
    const silent = count("ok") + bad + count("skip") === 0;
    if (silent || (status !== 0 && bad === 0)) {
      console.log(`not ok ${script}: exit status ${status}${silent ? ", no check run" : ""}`);
      failed++;
    }
    passed += count("ok");
    failed += bad;
    skipped += count("skip");
  }
  return { passed, failed, skipped };
}

function parityScripts() {
  const kinds = full ? /^(check|full)_.*\.py$/ : /^check_.*\.py$/;
  return readdirSync("tools/parity")
    .filter((name) => kinds.test(name))
    .sort();
}

async function main() {
  if ((await prepare("npm packages", installPackages)) === undefined) return;
  await prepare("native build", buildNative);
  await prepare("typecheck", buildTypeScript);
  mkdirSync(cache, { recursive: true });

  const nx = tool("nx/dist/bin/nx.js");
  await check("lint", () => node(nx, "run-many", "--targets=lint", "--parallel=2", "--outputStyle=static"));
  await check("lint of the rest", () =>
    node(tool("eslint/bin/eslint.js"), "--max-warnings", "0", "tools", "*.mjs", "*.ts"),
  );
  await check("format", () => node(tool("prettier/bin/prettier.cjs"), "--check", "--log-level", "warn", "."));
  await check("structure", () => node("tools/check-structure/check-structure.mjs"));
  await check("boundaries", () => node("tools/check-boundaries/check-boundaries.mjs"));

  if (has("cargo")) {
    const cwd = "packages/native";
    for (const [name, component, args] of [
      ["cargo fmt", "cargo-fmt", ["fmt", "--check"]],
      ["cargo clippy", "cargo-clippy", ["clippy", "--release", "--all-targets", "--", "-D", "warnings"]],
    ]) {
      if (has(component)) await check(name, () => run("cargo", args, { cwd }));
      else summary.push(`--   ${name}: not counted, it is not installed`);
    }
    await tier("cargo test", cargoTest);
  } else {
    summary.push("--   Rust tests: not counted, cargo not found");
  }

  await tier("vitest", () => vitest({}));
  await check("fuzz, five seconds", () => node("tools/fuzz/fuzz.mjs", "--seconds", "5", "--seed", "1"));
  if (full) await tier("vitest, full tier", () => vitest({ MEDGPT_TEST_TIER: "full" }));

  const scripts = parityScripts();
  await tier("parity", () => {
    let python;
    try {
      python = ensureVenv(full ? "full" : "normal");
    } catch (error) {
      if (!(error instanceof SetupError)) throw error;
      console.error(error.message);
      return { failed: scripts.length, note: "no Python environment" };
    }
    if (python !== undefined) return parity(scripts, python);
    for (const script of scripts) console.log(`skipped: ${script}, no Python found`);
    return ci
      ? { failed: scripts.length, note: "no Python found" }
      : { skipped: scripts.length, note: "no Python found" };
  });
}

try {
  await main();
} catch (error) {
  console.error(error);
  totals.failed++;
}
if (slowest.length > 0) console.log(`\nThe slowest test files, loading included:\n${slowest.join("\n")}`);
console.log(`\n${summary.join("\n")}`);
const { passed, failed, skipped } = totals;
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
