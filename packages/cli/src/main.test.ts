import { EventEmitter } from "node:events";

import type { CommandEntry } from "@medgpt/core/config";
import { describe, expect, it } from "vitest";

import { COMMANDS } from "./commands.js";
import { main } from "./main.js";

const broken: CommandEntry = {
  name: "broken",
  summary: "Fails.",
  load: () => Promise.reject(new Error("no such file")),
};

async function medgpt(...argv: string[]) {
  const out: string[] = [];
  const err: string[] = [];
  const stream = (into: string[]) => Object.assign(new EventEmitter(), { write: (text: string) => into.push(text) });
  const io = Object.assign(new EventEmitter(), { stdout: stream(out), stderr: stream(err), env: {}, exit: () => {} });
  const code = await main(argv, io, [...COMMANDS, broken]);
  return { code, out: out.join(""), err: err.join("") };
}

describe("medgpt", () => {
  it.each([[[]], [["--help"]], [["-h"]], [["help"]]])("lists the commands for %j", async (argv) => {
    const { code, out } = await medgpt(...argv);
    expect(code).toBe(0);
    expect(out).toMatch(
      /^ {2}data {6}Fetch.*\n {2}pretrain {2}Continue.*\n {2}sft {7}Fine.*\n {2}merge {5}Merge.*\n(?: {2}\S+ +\S.*\n)* {2}broken {4}Fails\.$/m,
    );
  });

  it("prints its version", async () => {
    expect(await medgpt("--version")).toMatchObject({ code: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\S*\n$/) });
  });

  it("runs a command with the arguments after its name", async () => {
    expect(await medgpt("pretrain", "--lora_rank", "eight")).toEqual({
      code: 2,
      out: "",
      err: 'error: --lora_rank: expected an integer, got "eight"\n',
    });
    expect(await medgpt("pretrain", "--help")).toMatchObject({
      code: 0,
      out: expect.stringContaining("Usage: medgpt pretrain [flags]"),
    });
  });

  it("returns 2 for an unknown command, with the nearest name", async () => {
    const err = 'error: unknown command "pertrain"; did you mean medgpt pretrain?\n';
    expect(await medgpt("pertrain")).toEqual({ code: 2, out: "", err });
    expect((await medgpt("--json")).err).toBe('error: unknown command "--json"; medgpt --help lists the commands\n');
  });

  it("returns 1 for a command that cannot be loaded", async () => {
    const { code, err } = await medgpt("broken");
    expect(code).toBe(1);
    expect(err).toContain("error: no such file\n");
  });
});

describe("the list of commands", () => {
  it.each(COMMANDS)("has $name as its package describes it", async ({ name, summary, load }) => {
    const command = await load();
    expect({ name: command.name, summary: command.summary }).toEqual({ name, summary });
  });
});
