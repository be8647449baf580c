/**
 * Makes a clone ready to run: npm packages, the native backend where Rust is installed, and the TypeScript build. Each part is
 * done again only when what it is made from has changed. Runs before anything is installed, so it uses Node alone.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const native = join(root, "packages/native");
const npm = process.platform === "win32" ? "npm.cmd" : "npm";

/** A part of the set-up that failed; the program that did has said why. */
export class SetupError extends Error {}

/** Whether a program can be run. */
export function has(program) {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

/** Runs a program to its end, its output passed on. */
function run(what, program, args, cwd = root) {
  console.log(`set-up: ${what}`);
  const { status, error } = spawnSync(program, args, {
    cwd,
    stdio: ["ignore", "inherit", "inherit"],
    shell: program === "npm.cmd",
  });
  if (status !== 0) throw new SetupError(`${what} failed (${error?.message ?? `exit status ${status}`})`);
}

/** All files below the paths that are not products of a build. */
function sources(paths) {
  return paths.flatMap((path) => {
    if (!existsSync(path)) return [];
    if (!statSync(path).isDirectory()) return [path];
    const names = readdirSync(path).filter((name) => !["node_modules", "dist", "target"].includes(name));
    return sources(names.map((name) => join(path, name)));
  });
}

/** One line that changes when a file below the paths is added, removed or written. */
function fingerprint(paths, ...more) {
  const hash = createHash("sha256").update(JSON.stringify([process.version, process.platform, process.arch, ...more]));
  for (const file of sources(paths).sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${relative(root, file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/** Does `work` unless it was done for the same fingerprint and its products are still there. */
function once(name, print, products, work) {
  const stamp = join(root, ".cache/setup", name);
  const done = existsSync(stamp) && readFileSync(stamp, "utf8") === print();
  if (done && products().every((product) => existsSync(product))) return;
  rmSync(stamp, { force: true });
  work();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, print());
}

function packages() {
  return readdirSync(join(root, "packages")).map((name) => join(root, "packages", name));
}

export function installPackages() {
  const lock = join(root, "package-lock.json");
  const modules = join(root, "node_modules");
  const print = () => {
    const manifests = [join(root, "package.json"), ...packages().map((dir) => join(dir, "package.json"))];
    return fingerprint([], ...[lock, ...manifests].map((file) => (existsSync(file) ? readFileSync(file, "utf8") : "")));
  };
  once(
    "npm",
    print,
    () => [join(modules, ".package-lock.json")],
    () => {
      // "ci" begins by deleting node_modules, which an editor or another process may be using.
      const command = existsSync(modules) ? "install" : "ci";
      run(`npm ${command}`, npm, [command, "--no-audit", "--no-fund"]);
    },
  );
}

/** Builds the native backend where it can be. Returns one line that says which backend there is. */
export function buildNative() {
  if (!has("cargo")) return "js fallback: cargo not found";
  if (!existsSync(join(native, "build.mjs"))) return "js fallback: packages/native has no build.mjs";
  const inputs = ["src", "Cargo.toml", "Cargo.lock", "build.rs", "build.mjs", "package.json"].map((name) =>
    join(native, name),
  );
  const built = () => builtFiles(native, ".node");
  try {
    once(
      "native",
      () => fingerprint(inputs, built().length > 0),
      () => [join(native, "index.js")],
      () => run("native backend (a minute or two the first time)", process.execPath, ["build.mjs"], native),
    );
  } catch (error) {
    if (!(error instanceof SetupError) || process.env.CI === "true") throw error;
    return "js fallback: the native build failed, see above";
  }
  return `native (${built()
    .map((file) => relative(root, file))
    .join(", ")})`;
}

/** Built files with the given ending in a package, its dist folder included. */
function builtFiles(dir, ending) {
  return [dir, join(dir, "dist")]
    .filter((path) => existsSync(path))
    .flatMap((path) => readdirSync(path).map((name) => join(path, name)))
    .filter((file) => file.endsWith(ending));
}

/** The TypeScript build of all packages, which also checks every type. */
export function buildTypeScript() {
  const inputs = packages()
    .flatMap((dir) => [join(dir, "src"), join(dir, "package.json"), join(dir, "tsconfig.json")])
    .concat(["tsconfig.json", "tsconfig.base.json", "package-lock.json"].map((name) => join(root, name)));
  const products = () =>
    packages()
      .filter((dir) => existsSync(join(dir, "tsconfig.json")))
      .map((dir) => join(dir, "dist/.tsbuildinfo"));
  once(
    "typescript",
    () => fingerprint(inputs),
    products,
    () => run("TypeScript build", process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-b"]),
  );
}

/** Everything. Returns the line about the backend. */
export function setup() {
  installPackages();
  const backend = buildNative();
  buildTypeScript();
  return backend;
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    console.log(`set-up done; backend: ${setup()}`);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`set-up: ${error.message}`);
    process.exitCode = 1;
  }
}
