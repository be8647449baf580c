/** Adapters that bring an embedding and a head: of another size, not trained, tied; and those that PEFT puts on them. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { openSafetensors, readTensorData, writeSafetensors } from "../checkpoint/safetensors.js";
import { collate } from "../data/packing/collate.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { attachAdapter } from "../stage/attach-adapter.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { expectClose } from "../testing/all-close.js";
import { caseDir, caseModel, goldenModel, hasCases } from "../testing/goldens.js";
import { freshAdapter } from "../nn/adapter.js";
import { openBase } from "./base.js";
import { loadCausalLm, type CausalLm } from "./role.js";
import { initCausalLm } from "./init.js";
import { mergeAdapter } from "./merge.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-fit-"));
let folders = 0;
const fresh = (): string => join(root, `f-${folders++}`);
const tokenizerDir = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
const [ROWS, WIDTH] = [2048, 16];
const [TABLE, HEAD] = ["model.embed_tokens.weight", "lm_head.weight"];
const Q = "model.layers.0.self_attn.q_proj";
const base = { untied: join(root, "untied"), tied: join(root, "tied") };
type Base = keyof typeof base;

let backend: Backend;
beforeAll(async () => {
  backend = createJsBackend();
  const sizes = { hidden_size: WIDTH, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2 };
  const config = { model_type: "qwen2", architectures: ["Qwen2ForCausalLM"], vocab_size: ROWS, ...sizes };
  const common = { ...config, num_key_value_heads: 1, max_position_embeddings: 64 };
  for (const which of ["untied", "tied"] as const)
    await initCausalLm(base[which], { ...common, tie_word_embeddings: which === "tied" }, tokenizerDir, 5);
});
afterAll(async () => {
  await backend.dispose();
  rmSync(root, { recursive: true });
});

/** Random numbers in the shape of a tensor. */
function tensor(name: string, shape: readonly number[], seed: number) {
  const random = seededRandom(seed);
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random() - 0.5);
  return { name: `base_model.model.${name}`, dtype: "f32" as const, shape, data: new Uint8Array(values.buffer) };
}

/** An adapter on q_proj with these tensors too, by name and rows or shape; `seed` tells tensors apart. */
async function adapter(
  config: Record<string, unknown>,
  more: Readonly<Record<string, number | readonly number[]>>,
  seed: (name: string) => number = (name) => name.length,
): Promise<string> {
  const dir = fresh();
  mkdirSync(dir);
  const lora = { peft_type: "LORA", r: 2, lora_alpha: 4, target_modules: ["q_proj"], ...config };
  writeFileSync(join(dir, "adapter_config.json"), JSON.stringify(lora));
  await writeSafetensors(join(dir, "adapter_model.safetensors"), [
    tensor(`${Q}.lora_A.weight`, [2, WIDTH], 1),
    tensor(`${Q}.lora_B.weight`, [WIDTH, 2], 2),
    ...Object.entries(more).map(([name, rows]) =>
      tensor(name, typeof rows === "number" ? [rows, WIDTH] : rows, seed(name)),
    ),
  ]);
  return dir;
}

async function logitsOf(model: CausalLm): Promise<Float32Array> {
  const ids = Int32Array.from([5, 9, 2, 300, 17]);
  const logits = scope(() => noGrad(() => model.head.logits(model.forward(collate([{ ids }])))));
  const read = (await logits.read()) as Float32Array;
  logits.dispose();
  model.base.dispose();
  return read;
}

async function merge(which: Base | string, lora: string) {
  const from = which in base ? base[which as Base] : which;
  const outputDir = fresh();
  await mergeAdapter({ base: from, adapter: lora, outputDir, backend }, { log: () => {} });
  const config = JSON.parse(readFileSync(join(outputDir, "config.json"), "utf8")) as Record<string, unknown>;
  const { tensors } = await openSafetensors(join(outputDir, "model.safetensors"));
  const adapted = await loadCausalLm(from, { backend, adapter: lora });
  // Adapter and merged model answer alike.
  const merged = await logitsOf(await loadCausalLm(outputDir, { backend }));
  expectClose(merged, await logitsOf(adapted), { absolute: 1e-5, relative: 1e-5 });
  return { config, tensors, merged, outputDir };
}

/** Whether a tensor of the merged model is that of the adapter. */
async function expectOwn(lora: string, tensors: Awaited<ReturnType<typeof merge>>["tensors"], name: string, as = name) {
  const own = (await openSafetensors(join(lora, "adapter_model.safetensors"))).tensors;
  expect(await readTensorData(tensors.get(name)!)).toEqual(await readTensorData(own.get(`base_model.model.${as}`)!));
}

const SAVED = { modules_to_save: ["embed_tokens", "lm_head"] };

describe("an adapter with an embedding and a head of its own", () => {
  it.each([
    ["untied", "trained", SAVED, ROWS + 3],
    ["untied", "trained", SAVED, ROWS - 48],
    ["tied", "trained", SAVED, ROWS + 64],
    // PEFT saves both, untrained, where the vocabulary was resized before.
    ["untied", "resized", {}, ROWS + 3],
    ["untied", "resized", {}, ROWS],
  ] as const)(
    "%s, %s with %j and %d rows is merged whole and answers as the merged model",
    async (which, _, saved, rows) => {
      const lora = await adapter(saved, { [TABLE]: rows, [HEAD]: rows });
      const { config, tensors, merged } = await merge(which, lora);
      expect(config).toMatchObject({ vocab_size: rows, tie_word_embeddings: false });
      for (const name of [TABLE, HEAD]) await expectOwn(lora, tensors, name);
      expect(merged).toHaveLength(5 * rows);
    },
  );

  it("that is one weight, as PEFT saves a resized tied model, stays tied", async () => {
    const lora = await adapter({}, { [TABLE]: ROWS + 3, [HEAD]: ROWS + 3 }, () => 7);
    const { config, tensors } = await merge("tied", lora);
    expect(config).toMatchObject({ vocab_size: ROWS + 3, tie_word_embeddings: true });
    expect(tensors.has(HEAD)).toBe(false);
    await expectOwn(lora, tensors, TABLE);
  });

  it("keeps the tie that ensure_weight_tying trained it with", async () => {
    const lora = await adapter({ modules_to_save: ["embed_tokens"], ensure_weight_tying: true }, { [TABLE]: ROWS });
    const { config, tensors } = await merge("tied", lora);
    expect(config["tie_word_embeddings"]).toBe(true);
    expect(tensors.has(HEAD)).toBe(false);
    await expectOwn(lora, tensors, TABLE);
    const without = await adapter({ modules_to_save: ["embed_tokens"] }, { [TABLE]: ROWS });
    expect((await merge("tied", without)).tensors.has(HEAD)).toBe(true);
  });

  it.each([
    [
      "untied",
      { modules_to_save: ["embed_tokens"] },
      { [TABLE]: ROWS + 3 },
      "model.embed_tokens has 2051 rows, lm_head is not",
    ],
    [
      "untied",
      { modules_to_save: ["lm_head"] },
      { [HEAD]: ROWS + 3 },
      "model.embed_tokens is not in it, lm_head has 2051",
    ],
    ["tied", { modules_to_save: ["embed_tokens"] }, { [TABLE]: ROWS + 3 }, "has only a part of it"],
    ["untied", SAVED, { [TABLE]: ROWS + 3, [HEAD]: ROWS + 4 }, "model.embed_tokens has 2051 rows, lm_head has 2052"],
    [
      "tied",
      {},
      { [HEAD]: ROWS },
      "the adapter has weights for lm_head.weight, which adapter_config.json names neither",
    ],
    ["untied", {}, { "model.norm.weight": [WIDTH] }, "the adapter has weights for model.norm.weight, which"],
  ] as const)("%s with %j and %j is refused", async (which, config, more, message) => {
    const lora = await adapter(config, more);
    await expect(loadCausalLm(base[which], { backend, adapter: lora })).rejects.toThrow(message);
  });

  it.each([
    [SAVED, ROWS + 3],
    [{}, ROWS],
  ] as const)("with %j and %d rows is to be merged before it is trained on", async (config, rows) => {
    const lora = await adapter(config, { [TABLE]: rows, [HEAD]: rows });
    const model = await openBase(base.untied, { backend });
    const flags = { ...{ peft_path: lora, lora_rank: 2, lora_alpha: 4, lora_dropout: 0, use_rslora: false, seed: 1 } };
    const attach = attachAdapter(
      model,
      { ...flags, target_modules: ["all"], modules_to_save: null },
      new Set(),
      () => {},
    );
    await expect(attach).rejects.toThrow("merge the two with medgpt merge and train the merged model");
    model.dispose();
  });

  it.skipIf(caseModel === undefined)("gives the merged model its rows and its tokenizer", async () => {
    const lora = fresh();
    mkdirSync(lora);
    for (const name of ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"])
      copyFileSync(caseDir("21-grown-embeddings/adapter", name), join(lora, name));
    const { tensors: own } = await openSafetensors(join(lora, "adapter_model.safetensors"));
    const rows = own.get(`base_model.model.${TABLE}`)!.shape[0];
    const { config, tensors, outputDir } = await merge(caseModel!, lora);
    expect(config["vocab_size"]).toBe(rows);
    for (const name of [TABLE, HEAD]) await expectOwn(lora, tensors, name);
    expect(readFileSync(join(outputDir, "tokenizer.json"))).toEqual(readFileSync(join(lora, "tokenizer.json")));
  });
});

describe("LoRA of head or embedding", () => {
  it.each([
    ["untied", "lm_head", { "lm_head.lora_A.weight": [2, WIDTH], "lm_head.lora_B.weight": [ROWS, 2] }],
    ["tied", "lm_head", { "lm_head.lora_A.default.weight": [2, WIDTH], "lm_head.lora_B.default.weight": [ROWS, 2] }],
    [
      "untied",
      "embed_tokens",
      {
        "model.embed_tokens.lora_embedding_A": [2, ROWS],
        "model.embed_tokens.lora_embedding_B": [WIDTH, 2],
        "model.embed_tokens.base_layer.weight": ROWS,
      },
    ],
  ] as const)("%s %s is refused with a way out", async (which, module, more) => {
    const lora = await adapter({ target_modules: ["q_proj", module] }, more);
    await expect(loadCausalLm(base[which], { backend, adapter: lora })).rejects.toThrow(
      new RegExp(`^${lora}: LoRA of .* is not supported; train it whole instead, with --modules_to_save ${module}$`),
    );
  });

  it("is refused when it is to be trained", async () => {
    const model = await openBase(base.tied, { backend });
    const lora = { r: 2, lora_alpha: 4, lora_dropout: 0, use_rslora: false, modules_to_save: [] };
    for (const module of ["lm_head", "embed_tokens"])
      expect(() => freshAdapter(model, { ...lora, target_modules: ["q_proj", module] }, seededRandom(1))).toThrow(
        `is not supported; train it whole instead, with --modules_to_save ${module}`,
      );
    model.dispose();
  });

  const tied = goldenModel("qwen2");
  it.skipIf(!hasCases || tied === undefined)("is refused in merging too", async () => {
    const [dir, outputDir] = [caseDir("05-head-lora", "adapter"), fresh()];
    const options = { base: tied!, adapter: dir, outputDir, backend };
    await expect(mergeAdapter(options, { log: () => {} })).rejects.toThrow("LoRA of the output head (lm_head) is not");
  });
});

describe.skipIf(caseModel === undefined)("adapters of other writers", () => {
  const llama = () => caseModel!;

  it("merge to the same weights with names that hold the adapter's", async () => {
    const [named, plain] = [caseDir("04-adapter-names", "default"), fresh()];
    mkdirSync(plain);
    copyFileSync(join(named, "adapter_config.json"), join(plain, "adapter_config.json"));
    const { tensors } = await openSafetensors(join(named, "adapter_model.safetensors"));
    const renamed = [...tensors.values()].map(async (info) => ({
      name: info.name.replace(".default.", "."),
      dtype: "f32" as const,
      shape: info.shape,
      data: new Uint8Array((await readTensorData(info)).buffer),
    }));
    await writeSafetensors(join(plain, "adapter_model.safetensors"), await Promise.all(renamed));
    const [ours, theirs] = [await merge(llama(), plain), await merge(llama(), named)];
    for (const [name, info] of ours.tensors)
      expect(await readTensorData(theirs.tensors.get(name)!), name).toEqual(await readTensorData(info));
  });

  it("are merged with a warning of a key that is not known", async () => {
    const said: string[] = [];
    const options = { base: llama(), adapter: caseDir("04-adapter-names", "unknown-key"), outputDir: fresh(), backend };
    await mergeAdapter(options, {
      log: (event) => {
        if (event.type === "message" && event.level === "warn") said.push(event.text);
      },
    });
    expect(said).toEqual([expect.stringContaining('"output_multiplier" is 2, which is not known here')]);
  });

  it("are refused where loading changes the base, and merged where it does not", async () => {
    await merge(llama(), caseDir("03-adapter-changes-base", "gaussian"));
    const options = {
      base: llama(),
      adapter: caseDir("03-adapter-changes-base", "pissa"),
      outputDir: fresh(),
      backend,
    };
    await expect(mergeAdapter(options, { log: () => {} })).rejects.toThrow(
      'init_lora_weights "pissa" is not supported',
    );
  });
});
