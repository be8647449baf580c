/** Every benchmark runs: with --smoke each has something tiny to do, on our side alone, and no time is looked at. */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadNative } from "../../packages/core/src/run/native.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { scripts } = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { scripts: Record<string, string> };
const benchmarks = Object.entries(scripts).filter(([name]) => /^bench(:|$)/.test(name));

// They are of the native kernels.
describe.skipIf("reason" in loadNative())("npm run", () => {
  it.each(benchmarks)("%s has a form for a moment, which runs", (_, script) => {
    expect(script).toMatch(/^node tools\/bench\/\S+\.mjs( |$)/);
    const args = [...script.split(" ").slice(1), "--smoke"];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: "utf8" });
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/\d/);
    expect(stdout).not.toContain("NaN");
  });
});
