import { EventEmitter } from "node:events";

import { InputError, MedgptError } from "@medgpt/artifacts";
import { describe, expect, it } from "vitest";
import { z } from "zod";

import { runCommand, type Command, type CommandIo } from "./run-command.js";
import { accepted, commandFlags, flag, topic } from "./schema.js";

const schema = z.strictObject({
  ...topic("Loop", {
    steps: flag(z.int(), { default: 3, help: "Steps." }),
    ddp_timeout: accepted(z.int(), { default: 1800, because: "training runs in one process" }),
  }),
  ...commandFlags,
});

const command = (run: Command<typeof schema>["run"]): Command<typeof schema> => ({
  name: "fake",
  summary: "Does what the test says.",
  config: schema,
  run,
});

/** A process whose streams collect what is written. */
class FakeIo extends EventEmitter {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly exits: number[] = [];
  readonly stdout = fakeStream(this.out);
  readonly stderr = fakeStream(this.err);
  constructor(readonly env: Record<string, string> = {}) {
    super();
  }
  exit(code: number): void {
    this.exits.push(code);
  }
  run(argv: string, body: Command<typeof schema>["run"]): Promise<number> {
    const words = argv.split(" ").filter((word) => word !== "");
    return runCommand(command(body), words, this as unknown as CommandIo);
  }
}

function fakeStream(into: string[]) {
  return Object.assign(new EventEmitter(), { isTTY: false, write: (text: string) => into.push(text) });
}

describe("runCommand", () => {
  it("hands over the parsed configuration and what was given, and returns 0", async () => {
    const io = new FakeIo();
    const code = await io.run("--steps 5 --ddp_timeout 9", async (config, context, { given }) => {
      expect(config).toMatchObject({ steps: 5, ddp_timeout: 9 });
      expect(given).toEqual(new Set(["steps", "ddp_timeout"]));
      context.log({ type: "saved", path: "out", what: "the adapter" });
    });
    expect(code).toBe(0);
    expect(io.err).toEqual(["--ddp_timeout 9: changes nothing here, because training runs in one process\n"]);
    expect(io.out).toEqual(["saved the adapter in out\n"]);
    expect(io.listenerCount("SIGINT")).toBe(0);
  });

  it("prints help and returns 0 without running", async () => {
    const io = new FakeIo();
    const code = await io.run("--steps nonsense --help", () => Promise.reject(new Error("ran")));
    expect(code).toBe(0);
    expect(io.out.join("")).toContain("Usage: medgpt fake [flags]");
  });

  it.each(["--help all", "--help=all", "-h", "--help --steps 5"])("takes %s for a question too", async (line) => {
    const io = new FakeIo();
    expect(await io.run(line, () => Promise.reject(new Error("ran")))).toBe(0);
    expect(io.out.join("")).toContain("--ddp_timeout <integer>");
  });

  it("returns 2 with one line for a bad flag", async () => {
    const io = new FakeIo();
    expect(await io.run("--stesp 5", () => Promise.reject(new Error("ran")))).toBe(2);
    expect(io.err).toEqual(["error: --stesp: unknown flag; did you mean --steps?\n"]);
  });

  it("returns 2 with one line for an InputError and for a full disk", async () => {
    const io = new FakeIo();
    expect(await io.run("", () => Promise.reject(new InputError("no text", { place: "a.txt:3" })))).toBe(2);
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(await io.run("", () => Promise.reject(full))).toBe(2);
    expect(io.err).toEqual(["error: a.txt:3: no text\n", "error: ENOSPC: no space left on device, write\n"]);
  });

  it("returns 1 and says how to report a fault of ours, with its stack when asked", async () => {
    for (const error of [new TypeError("undefined is not a tensor"), new MedgptError("shape lost")]) {
      const io = new FakeIo();
      expect(await io.run("", () => Promise.reject(error))).toBe(1);
      expect(io.err[0]).toBe(`error: ${error.message}\n`);
      expect(io.err[1]).toContain("Please report it");
      expect(io.err.join("")).not.toContain("run-command.test");

      const debug = new FakeIo({ MEDGPT_DEBUG: "1" });
      expect(await debug.run("", () => Promise.reject(error))).toBe(1);
      expect(debug.err.join("")).toContain("run-command.test");
    }
  });

  it.each(["SIGINT", "SIGTERM"] as const)(
    "asks the run to stop at the first %s and leaves at the second",
    async (name) => {
      const io = new FakeIo();
      const code = await io.run("", async (_config, { signal }) => {
        io.emit(name);
        expect(signal?.aborted).toBe(true);
        expect(io.exits).toEqual([]);
        io.emit(name);
        expect(io.exits).toEqual([130]);
        signal?.throwIfAborted();
      });
      expect(code).toBe(130);
      expect(io.err).toEqual([expect.stringContaining("warning: stopping")]);
    },
  );

  it("returns 130 when an interrupted run ends without an error", async () => {
    const io = new FakeIo();
    expect(await io.run("", async () => void io.emit("SIGINT"))).toBe(130);
  });

  it("survives a closed pipe, and no other failure of a stream", async () => {
    const io = new FakeIo();
    const code = await io.run("", async () => {
      io.stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
      expect(() => io.stdout.emit("error", Object.assign(new Error("broken"), { code: "EIO" }))).toThrow("broken");
    });
    expect(code).toBe(0);
  });

  it("reports JSON lines, the notes too", async () => {
    const io = new FakeIo({ CUDA_VISIBLE_DEVICES: "0" });
    await io.run("--json --ddp_timeout 9", async () => {});
    expect(io.err).toEqual([]);
    const texts = io.out.map((line) => JSON.parse(line) as { type: string; text: string });
    expect(texts.map(({ text }) => text)).toEqual([
      "CUDA_VISIBLE_DEVICES=0: changes nothing here, because no backend uses a GPU",
      "--ddp_timeout 9: changes nothing here, because training runs in one process",
    ]);
  });

  it.each([
    [{ WORLD_SIZE: "2", LOCAL_RANK: "0" }, 2],
    [{ WORLD_SIZE: "1", LOCAL_RANK: "1" }, 2],
    [{ WORLD_SIZE: "1", LOCAL_RANK: "0", RANK: "0" }, 0],
  ])("in the environment %j returns %i", async (env, code) => {
    expect(await new FakeIo(env).run("", async () => {})).toBe(code);
  });
});
