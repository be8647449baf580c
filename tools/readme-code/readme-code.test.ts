/** The code of the READMEs runs as it stands there, on the built packages and on a toy in place of the model that they name. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { initCausalLm } from "@medgpt/core/models";
import { afterAll, beforeAll, expect, it } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const sample = join(root, "datasets/sample");
// Below the repository, so that the names of the packages are found.
mkdirSync(join(root, ".cache"), { recursive: true });
const dir = mkdtempSync(join(root, ".cache/readme-code-"));

const TOY = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 2000,
  hidden_size: 16,
  intermediate_size: 32,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  max_position_embeddings: 2048,
};

beforeAll(async () => {
  await initCausalLm(join(dir, "models/bloomz-560m"), TOY, join(sample, "tokenizer"), 1);
  cpSync(join(sample, "pretrain/synthetic-en.txt"), join(dir, "data/pretrain/text.txt"));
  mkdirSync(join(dir, "data/sft"));
  const conversations = [
    { from: "human", value: "What helps against a fever?" },
    { from: "gpt", value: "Rest and water." },
  ];
  writeFileSync(join(dir, "data/sft/train.jsonl"), JSON.stringify({ conversations }) + "\n");
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the only TypeScript of a README, none of which needs more than its types taken away, and there are none. */
function runCode(readme: string): string {
  const blocks = [...readFileSync(join(root, readme), "utf8").matchAll(/```ts\n([\s\S]*?)```/g)];
  expect(blocks).toHaveLength(1);
  const [[, code]] = blocks as unknown as [[string, string]];
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", code], {
    cwd: dir,
    encoding: "utf8",
    env: { ...process.env, XDG_CACHE_HOME: join(dir, "cache") },
  });
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
}

it("pretrains, generates and fine-tunes", { timeout: 240_000 }, () => {
  runCode("README.md");
  expect(existsSync(join(dir, "out/adapter_model.safetensors"))).toBe(true);
  expect(runCode("packages/core/README.md").trim().split("\n").length).toBeGreaterThanOrEqual(2);
  runCode("packages/sft/README.md");
  expect(existsSync(join(dir, "outputs-sft/adapter_model.safetensors"))).toBe(true);
});
