/** The Python that the parity checks run in: a virtual environment under .cache, made on first use. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { has, root, SetupError } from "../setup/setup.mjs";

/**
 * Makes the environment of a tier, unless it is there with the same requirements.
 *
 * @param {"normal" | "full"} tier numpy, safetensors and tokenizers; "full" adds PyTorch, Transformers and PEFT (gigabytes)
 * @returns {string | undefined} its python, or undefined where there is no Python to make it with
 */
export function ensureVenv(tier) {
  const python = ["python3", "python"].find((name) => has(name));
  if (python === undefined) return undefined;
  const files = tier === "full" ? ["requirements.txt", "requirements-full.txt"] : ["requirements.txt"];
  const dir = join(root, ".cache", tier === "full" ? "venv-full" : "venv");
  const inside = join(dir, process.platform === "win32" ? "Scripts/python.exe" : "bin/python");
  const stamp = join(dir, "requirements.sha256");

  const version = spawnSync(python, ["--version"], { encoding: "utf8" }).stdout;
  const hash = createHash("sha256").update(version);
  for (const file of files) hash.update(readFileSync(join(root, "tools/parity", file)));
  const wanted = hash.digest("hex");
  if (existsSync(inside) && existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return inside;

  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dirname(dir), { recursive: true });
  run(python, ["-m", "venv", dir]);
  const requirements = join(root, "tools/parity", files[files.length - 1]);
  run(inside, ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]);
  writeFileSync(stamp, wanted);
  return inside;
}

function run(program, args) {
  const line = [program, ...args].join(" ");
  console.log(`parity: ${line}`);
  const { status } = spawnSync(program, args, { cwd: root, stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new SetupError(`${line} failed with exit status ${status}`);
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(ensureVenv(process.argv.includes("--full") ? "full" : "normal") ?? "no Python found");
}
