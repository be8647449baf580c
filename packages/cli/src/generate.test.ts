import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import { EventEmitter } from "node:events";

import { createJsBackend } from "@medgpt/core/backends";
import { parseFlags } from "@medgpt/core/config";
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
  const code = await main(argv, io);
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

  it("obeys generation_config.json or names its keys, and takes temperatures that are not read", async () => {
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
    const said = async (values: object, ...flags: string[]) => {
      writeFileSync(join(base, "generation_config.json"), JSON.stringify(values));
      const { code, err } = await medgpt("generate", ...FLAGS, "--raw", "--prompt", "头晕怎么办？", ...flags);
      return { code, err, text: written.splice(0).join("") };
    };
    try {
      const greedy = await said({});
      expect(await said({ temperature: 0, top_k: -1 })).toEqual(greedy);
      expect(await said({ do_sample: true, temperature: 0 }, "--do_sample", "False")).toEqual(greedy);
      expect(await said({ do_sample: true }, "--temperature", "0")).toEqual(greedy);
      expect(await said({ do_sample: true, temperature: 0 })).toMatchObject({ code: 2 });
      expect(await said({ guidance_scale: 3 })).toMatchObject({
        text: greedy.text,
        err: expect.stringMatching(/generation_config.json: "guidance_scale" is 3, which is not/),
      });
      const [first] = (await loadTokenizer(base)).encode(greedy.text, { addSpecialTokens: false });
      expect((await said({ suppress_tokens: [first] })).text).not.toBe(greedy.text);
      // Beams are printed when they are there.
      expect((await said({ num_beams: 2 })).text).toMatch(/.\n$/);
    } finally {
      rmSync(join(base, "generation_config.json"));
    }
  });

  it("draws the same answers whether a file is answered at once or in parts", async () => {
    const [input, output] = [join(root, "drawn.txt"), join(root, "made", "drawn.jsonl")];
    writeFileSync(input, "one\none\none\none\none\n");
    const flags = ["--data_file", input, "--output_file", output, "--temperature", "2"];
    await medgpt("generate", ...FLAGS, ...flags, "--batch_size", "2");
    const whole = readFileSync(output, "utf8");
    expect(new Set(whole.trim().split("\n")).size).toBe(5);
    // Killed within the fourth answer.
    writeFileSync(output, whole.slice(0, whole.split("\n").slice(0, 3).join("\n").length + 9));
    const { code, err } = await medgpt("generate", ...FLAGS, ...flags);
    expect(code).toBe(0);
    expect(err).toContain(`${output}:4: this line is not whole; it is cut off and its prompt answered again`);
    expect(readFileSync(output, "utf8")).toBe(whole);
  });

  it("names the line of a prompt that is too long, and keeps the answers before it", async () => {
    const [input, output] = [join(root, "long.txt"), join(root, "long.jsonl")];
    writeFileSync(input, `one\n\n${"long ".repeat(2000)}\n`);
    const files = ["--data_file", input, "--output_file", output, "--batch_size", "1"];
    expect(await medgpt("generate", ...FLAGS, ...files)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/long\.txt:3: the prompt has \d+ tokens; the model has 256 positions in all/),
    });
    expect(readFileSync(output, "utf8")).toMatch(/^\{"Input":"one",.*\}\n$/);
  });

  it.each([
    [[], "--prompt: expected one of --prompt and --data_file"],
    [["--data_file", "x.txt"], "--output_file: --data_file needs --output_file"],
    [["hello"], 'expected a flag such as --prompt "hello", got "hello"'],
    [["--prompt", "x", "--repetition_penalty", "0"], "--repetition_penalty: expected more than 0, got 0"],
    [
      ["--data_file", join(root, "none.txt"), "--output_file", join(root, "none.jsonl")],
      "none.txt: there is no such file",
    ],
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

  /** What is written in a talk that `act` holds. */
  async function conversation(
    maxNewTokens: number,
    act: (input: PassThrough, said: () => string, stop: AbortController) => unknown,
  ): Promise<string> {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const written: string[] = [];
    output.on("data", (data) => written.push(String(data)));
    const { config } = parseFlags(schema, [...FLAGS.slice(0, -1), String(maxNewTokens)]);
    const stop = new AbortController();
    const done = talk(config, { log: () => {}, signal: stop.signal }, input, output);
    await act(input, () => written.join(""), stop);
    await done;
    return written.join("");
  }

  it("says at first what it talks with and how to leave", async () => {
    const text = await conversation(6, (input) => input.end());
    expect(text).toContain(`Talking with ${base}. /help lists the commands, /exit or Ctrl-D leaves.\n`);
  });

  it("stops an answer that repeats itself, and goes on", async () => {
    const others = Array.from({ length: 2000 }, (_, id) => id).filter((id) => id !== 300);
    writeFileSync(join(base, "generation_config.json"), JSON.stringify({ suppress_tokens: others }));
    try {
      const text = await conversation(100, (input) => input.end("hello\n/retry\n"));
      expect(text.match(/\[stopped: the answer repeats itself; start again with --repetition_penalty/g)).toHaveLength(
        2,
      );
    } finally {
      rmSync(join(base, "generation_config.json"));
    }
  });

  it.each(["", "hello\n"])("ends when the run is stopped, after %j", async (question) => {
    const text = await conversation(200, async (input, said, stop) => {
      const after = () => said().split("\n> ")[1];
      await vi.waitFor(() => expect(after()).toBeDefined(), { timeout: 20_000 });
      input.write(question);
      if (question !== "") await vi.waitFor(() => expect(after()).not.toBe(""), { timeout: 20_000 });
      stop.abort();
    });
    expect(text.includes("[stopped]")).toBe(question !== "");
  });
});
