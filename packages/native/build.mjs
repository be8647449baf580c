/**
 * Builds the native library with cargo and puts it where index.js looks for it. Without cargo there is nothing to build
 * with, which is fine: @medgpt/core then runs on its TypeScript backend.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, renameSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { writeThirdPartyLicences } from "./third-party-licences.mjs";

const here = dirname(fileURLToPath(import.meta.url));

if (spawnSync("cargo", ["--version"], { stdio: "ignore" }).error) {
  console.log("@medgpt/native: cargo is not installed, so the native library is not built (see https://rustup.rs).");
  process.exit(0);
}

const built = spawnSync("cargo", ["build", "--release", "--locked"], { cwd: here, stdio: "inherit" });
if (built.status !== 0) {
  console.error("@medgpt/native: cargo build failed, see above.");
  process.exit(1);
}

const library =
  { win32: "medgpt_native.dll", darwin: "libmedgpt_native.dylib" }[process.platform] ?? "libmedgpt_native.so";
const from = join(process.env["CARGO_TARGET_DIR"] ?? join(here, "target"), "release", library);
const to = join(here, "dist", `medgpt-native.${process.platform}-${process.arch}.node`);
mkdirSync(dirname(to), { recursive: true });
// A running process may have the old file mapped, so it is replaced and never written over.
copyFileSync(from, `${to}.${process.pid}`);
renameSync(`${to}.${process.pid}`, to);
writeThirdPartyLicences(here, join(here, "dist/third-party-licences.md"));
console.log(`@medgpt/native: built ${to}`);
