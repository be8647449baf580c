import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, describe, expect, it, vi } from "vitest";
import { runCommand, type CommandIo } from "../config/run-command.js";
import * as native from "../run/native.js";
import { checkMachine, OLDEST_NODE, type Check } from "./checks.js";
import { command, examine } from "./command.js";
import type { MachineFacts } from "./facts.js";

vi.mock(import("../run/native.js"), async (original) => ({
  ...(await original()),
  loadNative: vi.fn((await original()).loadNative),
}));
const isBuilt = !("reason" in native.loadNative());
afterEach(() => {
  vi.mocked(native.loadNative).mockReset();
  vi.unstubAllEnvs();
});

const GIB = 2 ** 30;
const ABSENT = { reason: "@medgpt/native is not installed", remedy: "npm install @medgpt/native" };
const FINE: MachineFacts = {
  node: { version: "24.11.1", platform: "linux", arch: "x64" },
  nativeProblem: undefined,
  backend: { name: "native", description: "avx2 kernels, 8 threads", reason: "the native library is here" },
  instructionSets: ["portable", "avx2"],
  forcedInstructionSet: undefined,
  threads: 8,
  cpus: 16,
  memory: { total: 32 * GIB, available: 20 * GIB, limit: undefined },
  currentFolder: { path: "/work", freeBytes: 100 * GIB, writable: true },
  cacheFolder: { path: "/home/me/.cache", freeBytes: 50 * GIB, writable: true },
  gpus: [],
};

/** The check of this name on a machine that is fine but for `differs`. */
function check(name: string, differs: Partial<MachineFacts>): Check | undefined {
  return checkMachine({ ...FINE, ...differs }).find((check) => check.name === name);
}

describe("a machine", () => {
  it("that has everything is told in about ten lines, and is ok", () => {
    const { lines, value } = examine(FINE);
    expect(lines).toEqual([
      "ok       node          Node.js 24.11.1 on linux x64",
      "ok       native        the native library is built and loads",
      "ok       backend       native (avx2 kernels, 8 threads): the native library is here",
      "ok       instructions  avx2; this CPU has portable, avx2",
      "ok       threads       8 on 16 CPUs",
      "ok       memory        20.0 GiB available of 32.0 GiB",
      "ok       disk here     100.0 GiB free in /work",
      "ok       disk cache    50.0 GiB free in /home/me/.cache",
      "ok       gpu           none found, and none used: training runs on the CPU",
    ]);
    expect(value.ok).toBe(true);
  });

  it("without the native library lacks it, and is told how to get it", () => {
    const js = { name: "js", description: "TypeScript, f32, 1 thread", reason: "much slower than native" };
    const facts = { ...FINE, nativeProblem: ABSENT, backend: js, instructionSets: [] };
    const { lines, value } = examine(facts);
    expect(value.ok).toBe(false);
    const at = lines.indexOf("missing  native        @medgpt/native is not installed");
    expect(lines[at + 1]).toMatch(/^ +-> npm install @medgpt\/native$/);
    expect(lines).toContain("short    backend       js (TypeScript, f32, 1 thread): much slower than native");
    expect(lines).toContain("short    instructions  none: kernels are JavaScript");
  });

  it.each([
    ["18.20.8", "missing"],
    ["20.18.3", "missing"],
    ["20.19.0", "ok"],
    ["22.0.0", "ok"],
  ])("with Node.js %s: %s", (version, state) => {
    const found = check("node", { node: { version, platform: "linux", arch: "x64" } });
    expect(found).toMatchObject({ state, text: `Node.js ${version} on linux x64` });
    if (state === "missing") expect(found?.advice).toContain("20.19 or newer");
  });

  it.each([
    [0.5, undefined, "missing", "512 MiB available of 32.0 GiB"],
    [3, 4, "short", "3.0 GiB available of 32.0 GiB; this container may use 4.0 GiB"],
    [4, undefined, "ok", "4.0 GiB available of 32.0 GiB"],
  ])("with %s GiB of memory available and a limit of %s: %s", (available, limit, state, text) => {
    const memory = { total: 32 * GIB, available: available * GIB, limit: limit && limit * GIB };
    const found = check("memory", { memory });
    expect(found).toMatchObject({ state, text });
    expect(found?.advice?.includes("container's limit") ?? false).toBe(limit !== undefined);
  });

  it.each([
    [0.125, true, "missing", "128 MiB free in /work"],
    [2, true, "short", "2.0 GiB free in /work"],
    [100, false, "missing", "100.0 GiB free in /work, which may not be written"],
  ])("with %s GiB of disk, writable %s: %s", (free, writable, state, text) => {
    const currentFolder = { path: "/work", freeBytes: free * GIB, writable };
    expect(check("disk here", { currentFolder })).toMatchObject({ state, text });
    const cacheFolder = { path: "/cache", freeBytes: free * GIB, writable };
    const advice = "set XDG_CACHE_HOME to a folder on another disk";
    expect(check("disk cache", { cacheFolder })).toMatchObject({ state, advice });
  });

  it("is told what MEDGPT_ISA does", () => {
    const forced = (isa: string) => check("instructions", { forcedInstructionSet: isa });
    expect(forced("avx2")).toMatchObject({
      state: "ok",
      text: "avx2, as MEDGPT_ISA says; this CPU has portable, avx2",
    });
    expect(forced("portable")).toMatchObject({ state: "short", advice: "unset MEDGPT_ISA for avx2" });
    expect(forced("avx512")).toMatchObject({ state: "missing", advice: "unset MEDGPT_ISA" });
    expect(check("instructions", { instructionSets: ["portable"] })).toMatchObject({ state: "short" });
  });

  it("with GPUs is told that they are not used", () => {
    const text = "NVIDIA H200, driver 570.1; not used: training runs on the CPU";
    expect(check("gpu", { gpus: ["NVIDIA H200, driver 570.1"] })).toMatchObject({ state: "ok", text });
  });

  it("needs the Node.js that the packages need", () => {
    const manifest = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
    const { engines } = JSON.parse(manifest) as { engines: { node: string } };
    expect(engines.node).toBe(`>=${OLDEST_NODE.join(".")}`);
  });
});

/** Runs `medgpt doctor` here. */
async function doctor(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const stream = (into: string[]) => Object.assign(new EventEmitter(), { write: (text: string) => into.push(text) });
  const io = Object.assign(new EventEmitter(), { stdout: stream(out), stderr: stream(err), env: {}, exit: () => {} });
  const code = await runCommand(command, argv, io as unknown as CommandIo);
  return { code, out: out.join(""), err: err.join("") };
}

type Found = ReturnType<typeof examine>["value"];

describe("medgpt doctor", () => {
  it("gives one JSON object with --json, and the exit code that goes with it", async () => {
    const { code, out, err } = await doctor("--json");
    const { ok, checks, facts } = JSON.parse(out) as Found;
    expect(err).toBe("");
    expect(code).toBe(ok ? 0 : 1);
    expect(checks.map(({ name }) => name)).toEqual(checkMachine(FINE).map(({ name }) => name));
    expect(facts.node.version).toBe(process.versions.node);
    expect(facts.memory.available).toBeGreaterThan(0);
    expect(facts.memory.available).toBeLessThanOrEqual(facts.memory.total);
    expect(facts.currentFolder).toMatchObject({ path: process.cwd(), writable: true });
  });

  it("exits with 1 where the native library is missing", async () => {
    vi.mocked(native.loadNative).mockReturnValue(ABSENT);
    const { code, out } = await doctor();
    expect(code).toBe(1);
    expect(out).toMatch(/^missing +native +@medgpt\/native is not installed$/m);
    expect(out).toMatch(/^short +backend +js /m);
    // Nothing to measure with is no failure of its own.
    expect((await doctor("--measure")).code).toBe(1);
  });

  it.skipIf(!isBuilt)("says that the native library loads, and which set MEDGPT_ISA forces", async () => {
    vi.stubEnv("MEDGPT_ISA", "portable");
    const { out } = await doctor();
    expect(out).toMatch(/^ok +native /m);
    expect(out).toMatch(/backend +native \(portable kernels, \d+ threads?\)/);
    expect(out).toMatch(/instructions +portable, as MEDGPT_ISA says/);
    vi.stubEnv("MEDGPT_ISA", "mmx");
    const { code, out: broken } = await doctor();
    expect(code).toBe(1);
    expect(broken).toMatch(/^missing +backend +none: MEDGPT_ISA: unknown instruction set mmx; this CPU has portable/m);
    expect(broken).toMatch(/^ok +native /m);
  });

  it.skipIf(!isBuilt)("measures products with --measure", async () => {
    const { measured } = JSON.parse((await doctor("--measure", "--json")).out) as Found;
    expect(measured.map(({ dtype }) => dtype)).toEqual(["f32", "bf16"]);
    for (const { product, peak } of measured) {
      expect(product).toBeGreaterThan(0);
      expect(peak).toBeGreaterThan(0);
    }
  });
});
