/** Input that is broken or made to break us: each case is refused in one line that says where and why, and leaves nothing behind. */
import { lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { adapters } from "./hostile/adapter.js";
import { checkpoints } from "./hostile/checkpoint.js";
import { configJson } from "./hostile/config-json.js";
import { flags } from "./hostile/flags.js";
import { manifests } from "./hostile/manifest.js";
import { Prototypes, Sandbox, type HostileCase } from "./hostile/sandbox.js";
import { texts } from "./hostile/text.js";
import { tokenizers } from "./hostile/tokenizer.js";
import { weights } from "./hostile/weights.js";
import { medgpt, type Outcome, type Toys } from "@medgpt/core/testing";
import { makeToys } from "../../packages/pretrain/src/testing/toys.js";

/** A new format is a file of cases and a row here. */
const TABLES: Readonly<Record<string, readonly HostileCase[]>> = {
  "config.json": configJson,
  weights,
  tokenizer: tokenizers,
  adapter: adapters,
  manifest: manifests,
  text: texts,
  "flags and files of flags": flags,
  checkpoint: checkpoints,
};

let toys: Toys;
let prototypes: Prototypes;
let cases = 0;
beforeAll(async () => {
  toys = await makeToys();
  prototypes = new Prototypes(toys);
});
afterAll(() => toys.remove());

describe.each(Object.entries(TABLES))("%s", (_table, rows) => {
  it.each(rows)("$what", (row) => refuse(row, (argv) => toys.command(argv)));
});

const inProcesses = Object.values(TABLES).flatMap((rows) => rows.filter((row) => row.process));
describe("in a process of its own", () => {
  it.each(inProcesses)("$what", (row) => refuse(row, (argv) => medgpt(["pretrain", ...argv])));
});

it("covers every table", () => {
  expect(inProcesses.length).toBeGreaterThanOrEqual(12);
  const names = Object.values(TABLES).flatMap((rows) => rows.map(({ what }) => what));
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(120);
});

async function refuse(row: HostileCase, run: (argv: readonly string[]) => Promise<Outcome>): Promise<void> {
  const { what, flags, error, more = [] } = row;
  const output = `output-${cases++}`;
  const dir = toys.at(`case-${cases}`);
  await mkdir(dir);
  const given = await flags(new Sandbox(dir, prototypes));
  const before = await listing(dir);
  // With --json every message but the error goes to standard output.
  const { code, stdout, stderr } = await run([...toys.argv(output, given), "--json", "True", ...more]);

  expect(stderr, what).toMatch(/^error: [^\n]*\n$/);
  const said = stderr.slice("error: ".length, -1).replaceAll(dir, "%s");
  if (typeof error === "string") expect(said).toBe(error);
  else expect(said).toMatch(error);
  expect(said.length).toBeLessThan(7_000); // a path may have 4,096 characters
  expect(said).not.toMatch(/\p{Cc}/u);
  expect(code).toBe(2);
  expect(stdout).not.toContain('"type":"step"');
  expect(await listing(dir)).toEqual(before);
  expect(await listing(toys.at(output))).toBeUndefined();
  const cached = await readdir(toys.at("cache")).catch(() => []);
  expect(cached.filter((name) => name.includes("partial"))).toEqual([]);
}

/** What is below a folder, with kind, size and time of each: contents may be pipes, or gigabytes. */
async function listing(dir: string): Promise<string[] | undefined> {
  const names = await readdir(dir, { recursive: true }).catch(() => undefined);
  if (names === undefined) return undefined;
  const lines = names.map(async (name) => {
    const { mode, size, mtimeMs, ino } = await lstat(join(dir, name));
    return [name, mode, size, mtimeMs, ino].join(" ");
  });
  return (await Promise.all(lines)).sort();
}
