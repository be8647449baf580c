import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EventEmitter } from "node:events";

import { openArtifact } from "@medgpt/artifacts";
import { createJsBackend } from "@medgpt/core/backends";
import { parseFlags, withOptionTable } from "@medgpt/core/config";
import { initCausalLm, openBase, trainedLm } from "@medgpt/core/models";
import { freshAdapter } from "@medgpt/core/nn";
import { seededRandom } from "@medgpt/core/numeric";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { mergeSchema } from "./config.js";
import { main } from "./main.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-cli-merge-"));
afterAll(() => rmSync(root, { recursive: true }));
const [base, adapter] = [join(root, "base"), join(root, "adapter")];

beforeAll(async () => {
  mkdirSync(adapter);
  const sizes = { vocab_size: 2000, hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1 };
  const heads = { num_attention_heads: 2, num_key_value_heads: 1, max_position_embeddings: 64 };
  const config = { architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", ...sizes, ...heads };
  const tokenizer = fileURLToPath(new URL("../../../datasets/sample/tokenizer", import.meta.url));
  await initCausalLm(base, { ...config, tie_word_embeddings: true }, tokenizer);
  const backend = createJsBackend();
  const lora = { r: 2, lora_alpha: 4, lora_dropout: 0, target_modules: ["q_proj"], use_rslora: false };
  const weights = await openBase(base, { backend });
  const fresh = freshAdapter(weights, { ...lora, modules_to_save: [] }, seededRandom(1));
  trainedLm(weights, fresh);
  await fresh.save(adapter, base);
  await backend.dispose();
});

async function medgpt(...argv: string[]) {
  const [out, err]: [string[], string[]] = [[], []];
  const stream = (into: string[]) => Object.assign(new EventEmitter(), { write: (text: string) => into.push(text) });
  const io = Object.assign(new EventEmitter(), { stdout: stream(out), stderr: stream(err), env: {}, exit: () => {} });
  const code = await main(argv, io);
  return { code, out: out.join(""), err: err.join("") };
}

describe("medgpt merge", () => {
  it.each([
    ["--rope_scaling", "linear"],
    ["--model_max_length", "512"],
  ])("takes %s only with its other half", async (...flag) => {
    const output = join(root, "half");
    const { code, err } = await medgpt(
      "merge",
      "--base_model",
      base,
      "--lora_model",
      adapter,
      "--output_dir",
      output,
      ...flag,
    );
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining("go together: give both") });
  });

  it("merges, under the flags of MedicalGPT's script, and says how far the logits are apart", async () => {
    const output = join(root, "merged");
    const flags = ["--base_model", base, "--lora_model", adapter, "--tokenizer_path", base, "--resize_emb"];
    const { code, out, err } = await medgpt("merge", ...flags, "--output_dir", output, "--backend", "js");
    expect({ code, err }).toEqual({
      code: 0,
      err: expect.stringMatching(
        /^--resize_emb True: changes nothing here.*\nbackend: js .*\nthe merged model is right, it computes what base \+ adapter do: .* differ by 0 % on average, .*\n$/,
      ),
    });
    expect(out).toMatch(new RegExp(`^saved causal-lm in ${output}$`, "m"));
    expect(out).toMatch(/^merging {2}[\d,]+\/[\d,]+ bytes$/m);
  });

  it.each([
    [["--max_shard_size", "big"], 'expected a size such as 5GB, 500MB or a number of bytes, got "big"'],
    [["--hf_hub_model_id", "me/model"], "refused: nothing is pushed to a hub"],
    [["--torch_dtype", "int8"], "expected one of auto, bfloat16, float16, float32"],
  ])("refuses %j in one line", async (flags, message) => {
    const output = join(root, "refused");
    const { code, err } = await medgpt(
      "merge",
      "--base_model",
      base,
      "--adapter",
      adapter,
      "--output_dir",
      output,
      ...flags,
    );
    expect(code).toBe(2);
    expect(err).toContain(message);
    expect(err.trimEnd()).not.toContain("\n");
  });

  it("refuses another base than that of the adapter's manifest unless asked, and generate names it", async () => {
    const other = join(root, "other");
    cpSync(adapter, other, { recursive: true });
    const { manifest } = await openArtifact(adapter, "adapter");
    const trainedOn = { kind: "causal-lm", path: "models/first", digest: "0".repeat(64) };
    writeFileSync(
      join(other, "medgpt.json"),
      JSON.stringify({ ...manifest, details: { ...manifest.details, base: trainedOn } }),
    );
    const line = `the adapter was trained on models/first, and ${base} is not that model, or its files have changed since`;
    const merge = ["merge", "--base_model", base, "--lora_model", other, "--output_dir", join(root, "m-other")];
    expect(await medgpt(...merge, "--backend", "js")).toMatchObject({
      code: 2,
      err: expect.stringContaining(
        `error: ${other}: ${line}; give that one, or --allow_other_base to merge all the same\n`,
      ),
    });
    expect(await medgpt(...merge, "--backend", "js", "--allow_other_base")).toMatchObject({
      code: 0,
      err: expect.stringContaining(`warning: ${line}\n`),
    });

    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const generate = ["generate", "--raw", "--prompt", "x", "--max_new_tokens", "1", "--model_name_or_path", base];
    const said = await Promise.all(
      [other, adapter].map((from) => medgpt(...generate, "--adapter", from, "--backend", "js")),
    );
    vi.restoreAllMocks();
    expect(said.map(({ code }) => code)).toEqual([0, 0]);
    expect(said[0]!.err).toContain(`warning: ${other}: ${line}\n`);
    expect(said[1]!.err).not.toContain("warning");
  });

  it("and generate name what a model's and an adapter's folder say that nobody acts on", async () => {
    const [model, lora] = [join(root, "model-keys"), join(root, "adapter-keys")];
    cpSync(base, model, { recursive: true });
    cpSync(adapter, lora, { recursive: true });
    for (const [dir, file, key] of [
      [model, "config.json", "logit_scale_x"],
      [lora, "adapter_config.json", "output_multiplier"],
    ] as const) {
      const values = JSON.parse(readFileSync(join(dir, file), "utf8")) as object;
      writeFileSync(join(dir, file), JSON.stringify({ ...values, [key]: 0.5 }));
    }
    const lines = [
      `warning: ${model}/config.json: "logit_scale_x" is 0.5, which is not known here and not acted on\n`,
      `warning: ${lora}/adapter_config.json: "output_multiplier" is 0.5, which is not known here and not acted on\n`,
    ];
    const flags = ["--base_model", model, "--adapter", lora, "--backend", "js"];
    const merged = await medgpt("merge", ...flags, "--output_dir", join(root, "m-keys"));
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    const answered = await medgpt("generate", ...flags, "--raw", "--prompt", "x", "--max_new_tokens", "1");
    vi.restoreAllMocks();
    for (const { code, err } of [merged, answered]) {
      expect(code).toBe(0);
      expect(err.match(/^warning: .*\n/gm)).toEqual(lines);
    }
  });

  it("is described by a README whose table is current and whose command parses", () => {
    const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
    expect(withOptionTable(readme, mergeSchema)).toBe(readme);
    const flags = /npx medgpt merge (.*)/.exec(readme)![1]!;
    expect(parseFlags(mergeSchema, flags.split(" ")).config).toMatchObject({ output_dir: "merged-pt" });
  });
});
