import { EventEmitter } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";

import { runBin } from "./run-bin.js";
import type { Command, CommandIo } from "./run-command.js";
import { commandFlags } from "./schema.js";

const echo: Command = {
  name: "echo",
  summary: "Says nothing.",
  config: z.strictObject(commandFlags),
  run: () => Promise.resolve(),
};
const group = {
  name: "many",
  summary: "Has several.",
  commands: [{ name: "echo", summary: echo.summary, load: () => Promise.resolve(echo) }],
};

describe("a package's own program", () => {
  let dir: string;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "medgpt-bin-"));
    await writeFile(join(dir, "package.json"), '{"version": "1.2.3", "bin": {"medgpt-echo": "bin/echo.js"}}');
  });
  afterAll(() => rm(dir, { recursive: true }));

  it.each([
    [echo, "--version", "1.2.3\n"],
    [group, "--version", "1.2.3\n"],
    [echo, "--help", "Usage: medgpt-echo [flags]\n"],
    [group, "--help", "Usage: medgpt-echo <command> [flags]\n"],
    [group, "echo --help", "Usage: medgpt-echo echo [flags]\n"],
  ])("answers under its own name", async (command, line, expected) => {
    const out: string[] = [];
    const stream = Object.assign(new EventEmitter(), { write: (text: string) => out.push(text) });
    const io = { stdout: stream, stderr: stream, env: {} } as unknown as CommandIo;
    expect(await runBin(command, pathToFileURL(join(dir, "package.json")), line.split(" "), io)).toBe(0);
    expect(out.join("")).toContain(expected);
  });
});
