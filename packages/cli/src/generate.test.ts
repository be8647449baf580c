import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { EventEmitter } from "node:events";

import { createJsBackend } from "@medgpt/core/backends";
import { parseFlags, type CommandIo } from "@medgpt/core/config";
import { generate } from "@medgpt/core/generation";
import { initCausalLm, loadCausalLm } from "@medgpt/core/models";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";

import { schema, talk } from "./chat.js";
import { main } from "./main.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-cli-generate-"));
afterAll(() => rmSync(root, { recursive: true }));
afterEach(() => void vi.restoreAllMocks());
const base = join(root, "base");
const TEMPLATE =
  "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}";

beforeAll(async () => {
  mkdirSync(root, { recursive: true });
  const sizes = { vocab_size: 2000, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 2 };
  const heads = { num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 256 };
  const config = {
    architectures: ["Qwen2ForCausalLM"],
    model_type: "qwen2",
    ...sizes,
    ...heads,
    initializer_range: 0.5,
  };
  const tokenizer = fileURLToPath(new URL("../../../datasets/sample/tokenizer", import.meta.url));
  await initCausalLm(base, { ...config, tie_word_embeddings: true }, tokenizer);
  writeFileSync(join(base, "chat_template.jinja"), TEMPLATE);
});

async function medgpt(...argv: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const stream = (into: string[]) => Object.assign(new EventEmitter(), { write: (text: string) => into.push(text) });
  const io = Object.assign(new EventEmitter(), { stdout: stream(out), stderr: stream(err), env: {}, exit: () => {} });
  const code = await main(argv, io as unknown as CommandIo);
  return { code, out: out.join(""), err: err.join("") };
}

/** What the model says to a text, by the library. */
async function answer(text: string, maxNewTokens: number): Promise<string> {
  const backend = createJsBackend();
  const model = await loadCausalLm(base, { backend });
  const tokenizer = await loadTokenizer(base);
  const ids = tokenizer.encode(text, { addSpecialTokens: false });
  const config = { max_new_tokens: maxNewTokens, eos_token_id: tokenizer.eosId ?? null };
  const [[only]] = (await generate(model, [ids], config)) as [[{ ids: Int32Array }]];
  await backend.dispose();
  return tokenizer.decode(only.ids, { skipSpecialTokens: true });
}

const FLAGS = ["--model_name_or_path", base, "--backend", "js", "--torch_dtype", "float32", "--max_new_tokens", "6"];

describe("medgpt generate", () => {
  it("prints the answer to a prompt, with the chat template or without", async () => {
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    expect(await medgpt("generate", ...FLAGS, "--prompt", "头晕怎么办？")).toMatchObject({ code: 0 });
    const chat = written.splice(0).join("");
    expect(await medgpt("generate", ...FLAGS, "--prompt", "头晕怎么办？", "--raw")).toMatchObject({ code: 0 });
    const raw = written.splice(0).join("");
    vi.restoreAllMocks();
    expect(chat).toBe((await answer("<user>头晕怎么办？\n<assistant>", 6)) + "\n");
    expect(raw).toBe((await answer("头晕怎么办？", 6)) + "\n");
    expect(chat).not.toBe(raw);
  });

  it("prints the end of an answer that stops inside a character", async () => {
    let [length, expected] = [0, ""];
    while (length < 40 && !expected.endsWith("\uFFFD")) expected = await answer("b c", ++length);
    expect(expected).toMatch(/\uFFFD$/);
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    const flags = [...FLAGS.slice(0, -1), String(length)];
    await medgpt("generate", ...flags, "--prompt", "b c", "--raw");
    vi.restoreAllMocks();
    expect(written.join("")).toBe(`${expected}\n`);
  });

  it("answers a file in its order and goes on where it stopped", async () => {
    const [input, output] = [join(root, "prompts.txt"), join(root, "answers.jsonl")];
    writeFileSync(input, "头晕怎么办？\n\nI have a cough.\n发烧三天。\n");
    const files = ["--data_file", input, "--output_file", output, "--batch_size", "2"];
    expect(await medgpt("generate", ...FLAGS, ...files)).toMatchObject({ code: 0 });
    const whole = readFileSync(output, "utf8");
    const lines = whole
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { Input: string; Output: string });
    expect(lines.map(({ Input }) => Input)).toEqual(["头晕怎么办？", "I have a cough.", "发烧三天。"]);
    expect(lines[1]?.Output).toBe((await answer("<user>I have a cough.\n<assistant>", 6)).trim());

    writeFileSync(output, whole.split("\n").slice(0, 1).join("\n") + "\n");
    const { err } = await medgpt("generate", ...FLAGS, ...files);
    expect(err).toContain("has 1 of 3 answers; going on after them");
    expect(readFileSync(output, "utf8")).toBe(whole);

    writeFileSync(input, "another\n");
    expect(await medgpt("generate", ...FLAGS, ...files)).toMatchObject({
      code: 2,
      err: expect.stringContaining(`${output}:1: this is not the answer to the prompt of that line`),
    });
  });

  it.each([
    [[], "--prompt: expected one of --prompt and --data_file"],
    [["--data_file", "x.txt"], "--output_file: --data_file needs --output_file"],
    [["--prompt", "x", "--temperature", "0"], "--temperature: "],
  ])("refuses %j", async (flags, message) => {
    expect(await medgpt("generate", ...FLAGS, ...flags)).toMatchObject({
      code: 2,
      err: expect.stringContaining(message),
    });
  });
});

describe("medgpt chat", () => {
  it("answers with what was said before, and obeys its commands", async () => {
    const saved = join(root, "talk.json");
    const input = new PassThrough();
    const output = new PassThrough();
    const written: string[] = [];
    output.on("data", (data) => written.push(String(data)));
    input.end(
      `first\n/retry\n${"long ".repeat(2000)}\nsecond\n/nonsense\n/save ${saved}\n/system Be brief.\n/save ${saved}.2\n/exit\nnever read\n`,
    );
    const { config } = parseFlags(schema, FLAGS);
    await talk(config, { log: () => {} }, input, output);
    const one = await answer("<user>first\n<assistant>", 6);
    const two = await answer(`<user>first\n<assistant>${one}\n<user>second\n<assistant>`, 6);
    const { messages } = JSON.parse(readFileSync(saved, "utf8")) as { messages: unknown };
    expect(messages).toEqual([
      { role: "user", content: "first" },
      { role: "assistant", content: one },
      { role: "user", content: "second" },
      { role: "assistant", content: two },
    ]);
    expect(JSON.parse(readFileSync(`${saved}.2`, "utf8"))).toEqual({
      messages: [{ role: "system", content: "Be brief." }],
    });
    expect(written.join("")).toContain("there is no command /nonsense");
    expect(written.join("")).toContain("tokens; the model has 256 positions in all");
  });
});
