import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runGroup, parseFlags } from "@medgpt/core/config";
import { sample } from "@medgpt/core/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { command, inspectSample, schema } from "./inspect.js";

let dir: string;
let file: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "medgpt-inspect-"));
  file = join(dir, "a.jsonl");
  const rows = [
    [
      ["human", "Fever?"],
      ["gpt", "Rest."],
      ["human", "Serious?"],
      ["gpt", "No."],
    ],
    [["human", "Nobody answers"]],
  ];
  const text = rows.map((turns) => JSON.stringify({ conversations: turns.map(([from, value]) => ({ from, value })) }));
  await writeFile(file, text.join("\n") + "\n");
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function inspect(row: number, ...flags: string[]): Promise<{ text: string; said: string[] }> {
  const argv = [file, String(row), "--model", join(sample, "tokenizer"), "--template_name", "ziya", ...flags];
  const said: string[] = [];
  const { config } = parseFlags(schema, argv);
  const text = await inspectSample(config, {
    log: (event) => void (event.type === "message" && said.push(event.text)),
  });
  return { text, said };
}

describe("medgpt inspect sample", () => {
  it("marks what carries loss and what ends an answer", async () => {
    const { text } = await inspect(1, "--color", "False");
    expect(text).toMatch(/^row 1 of 1: \d+ tokens, \d+ with loss\n/);
    expect(text.split("\n").slice(1).join("\n")).toBe(
      "<human>:Fever?\n<bot>:«Rest.»«<|endoftext|>»\n<human>:Serious?\n<bot>:«No.»«<|endoftext|>»\n",
    );
  });

  it("colours them", async () => {
    const { text } = await inspect(1, "--color", "True");
    expect(text).toContain("\x1b[32mRest.\x1b[0m\x1b[7m<|endoftext|>\x1b[0m");
  });

  it("prints the ids", async () => {
    const { text } = await inspect(1, "--ids");
    expect(text).toMatch(/\n\[\d+"/);
    expect(text).toMatch(/\n0"<\|endoftext\|>"\n/);
  });

  it("says what is left out, and that there is no such row", async () => {
    const { text, said } = await inspect(2);
    expect(text).toBe("nothing in this row can be learnt\n");
    expect(said).toEqual([`${file}:2: question without an answer: left out`]);
    await expect(inspect(3)).rejects.toThrow("there is no row 3: the file has 2");
  });

  it("shows what a length makes of a row", async () => {
    const { text } = await inspect(1, "--model_max_length", "24", "--color", "False");
    expect(text).toMatch(/^row 1 of 2: /);
  });

  it("is a command of its group", async () => {
    let written = "";
    const stream = { on: () => {}, write: (text: string) => (written += text) };
    const io = { stdout: stream, stderr: stream, env: {}, on() {}, off() {}, exit() {} };
    expect(
      await runGroup(
        command,
        ["sample", file, "x", "--model", join(sample, "tokenizer"), "--template_name", "ziya"],
        io as never,
      ),
    ).toBe(2);
    expect(written).toContain("expected the number of a row, from 1");
  });
});
