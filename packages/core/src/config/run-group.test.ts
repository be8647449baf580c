import { EventEmitter } from "node:events";

import { describe, expect, it } from "vitest";
import { z } from "zod";

import type { Command } from "./run-command.js";
import { runGroup, type CommandGroup } from "./run-group.js";
import { commandFlags, flag, positional } from "./schema.js";

const config = z.strictObject({
  in: positional(z.array(z.string()).min(1), { help: "Files." }),
  deep: flag(z.boolean(), { default: false, help: "At every depth." }),
  ...commandFlags,
});
const echo: Command<typeof config> = {
  name: "data echo",
  summary: "Says what it was given.",
  config,
  run: ({ in: files, deep }, { log }) => {
    log({ type: "answer", lines: [JSON.stringify({ files, deep })], value: {} });
    return Promise.resolve();
  },
};
const data: CommandGroup = {
  name: "data",
  summary: "Works on data.",
  commands: [{ name: "echo", summary: echo.summary, load: () => Promise.resolve(echo as unknown as Command) }],
};
const all: CommandGroup = {
  name: "",
  summary: "Everything.",
  commands: [{ name: "data", summary: data.summary, load: () => Promise.resolve(data) }],
};

async function medgpt(...argv: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const stream = (into: string[]) => Object.assign(new EventEmitter(), { write: (text: string) => into.push(text) });
  const io = Object.assign(new EventEmitter(), { stdout: stream(out), stderr: stream(err), env: {}, exit: () => {} });
  const code = await runGroup(all, argv, io, "medgpt");
  return { code, out: out.join(""), err: err.join("") };
}

describe("a group of commands", () => {
  it("runs a command of a group in a group", async () => {
    expect(await medgpt("data", "echo", "a", "--deep", "b")).toEqual({
      code: 0,
      out: '{"files":["a","b"],"deep":true}\n',
      err: "",
    });
  });

  it.each([[["data"]], [["data", "--help"]], [["data", "-h"]], [["data", "help"]]])(
    "lists its commands for %j",
    async (argv) => {
      const { code, out } = await medgpt(...argv);
      expect(code).toBe(0);
      expect(out).toBe(
        "Works on data.\n\nUsage: medgpt data <command> [flags]\n       medgpt data <command> --help\n\n  echo  Says what it was given.\n",
      );
    },
  );

  it("shows the words that a command takes in its help", async () => {
    const { out } = await medgpt("data", "echo", "--help");
    expect(out).toContain("Usage: medgpt data echo IN … [flags]");
    expect(out).toContain("  IN … <list>\n      Files. Required.");
  });

  it("names the nearest command under the group's own name", async () => {
    expect(await medgpt("data", "ehco")).toEqual({
      code: 2,
      out: "",
      err: 'error: unknown command "ehco"; did you mean medgpt data echo?\n',
    });
    expect((await medgpt("data", "x")).err).toContain("medgpt data --help lists the commands");
  });

  it("says which words are missing", async () => {
    expect((await medgpt("data", "echo")).err).toBe("error: IN …: required: files.\n");
  });
});
