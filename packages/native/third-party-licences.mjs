/** Writes the licences of every crate that the native library is made of, as their texts ask of those who pass the library on. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** @param {string} crate the folder with Cargo.toml @param {string} target the file to write */
export function writeThirdPartyLicences(crate, target) {
  const [, host] = /^host: (.*)$/m.exec(execFileSync("rustc", ["-vV"], { encoding: "utf8" }));
  // What the build has used is on this machine, and crates of other systems are not in the library.
  const args = ["metadata", "--locked", "--offline", "--format-version", "1", "--filter-platform", host];
  const json = execFileSync("cargo", args, { cwd: crate, encoding: "utf8", maxBuffer: 2 ** 27 });
  const packages = JSON.parse(json).packages.filter(({ source }) => source !== null);
  const list = packages.map(({ name, version, license }) => `- ${name} ${version}: ${license ?? "see its text below"}`);
  /** The crates by the text of a licence: many share one. */
  const texts = new Map();
  for (const { name, version, manifest_path } of packages) {
    const dir = dirname(manifest_path);
    for (const file of readdirSync(dir).filter((name) => /^(licen[cs]e|copying|notice)/i.test(name))) {
      const text = readFileSync(join(dir, file), "utf8").trim();
      texts.set(text, [...(texts.get(text) ?? []), `${name} ${version}`]);
    }
  }
  const sections = [...texts].map(([text, crates]) => `## ${crates.join(", ")}\n\n${text}`);
  const title = "# Licences of the Rust crates in this library";
  writeFileSync(target, [title, list.join("\n"), ...sections].join("\n\n") + "\n");
}
