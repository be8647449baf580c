/** What weight files hold beside, or against, what config.json says of them. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { openSafetensors, readTensorData, writeSafetensors, type TensorToWrite } from "../checkpoint/safetensors.js";
import { collate } from "../data/packing/collate.js";
import { generate } from "../generation/generate.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import { sum } from "../ops/index.js";
import { backward } from "../tensor/autograd.js";
import { availableBackends } from "../testing/each-backend.js";
import { caseDir, caseModel } from "../testing/goldens.js";
import { loadTokenizer } from "../tokenizer/load-tokenizer.js";
import { loadCausalLm, tokenLoss, type CausalLm } from "./role.js";
import { initCausalLm } from "./init.js";
import { mergeAdapter } from "./merge.js";
import { disposeArena } from "../nn/parameters.js";
import { openTrained } from "../testing/open-trained.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-stored-"));
let folders = 0;
const fresh = (): string => join(root, `m-${folders++}`);
const tokenizerDir = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));

const gated = { hidden_size: 16, intermediate_size: 24, num_hidden_layers: 1, num_attention_heads: 2 };
const CONFIGS: Readonly<Record<string, Record<string, unknown>>> = {
  qwen2: { ...gated, num_key_value_heads: 1, max_position_embeddings: 64, tie_word_embeddings: true },
  gpt2: { n_embd: 16, n_layer: 1, n_head: 2, n_positions: 64 },
  bloom: { hidden_size: 16, n_layer: 1, n_head: 2 },
};
const EMBEDDING = { qwen2: "model.embed_tokens", gpt2: "transformer.wte", bloom: "transformer.word_embeddings" };
type Family = keyof typeof EMBEDDING;
const LORA: LoraConfig = {
  ...{ r: 2, lora_alpha: 4, lora_dropout: 0, use_rslora: false, modules_to_save: [], target_modules: ["q_proj"] },
};
const IDS = Int32Array.from([5, 9, 2, 300, 17]);

const backends = await availableBackends();
let backend: Backend;
beforeAll(() => void (backend = createJsBackend()));
afterAll(async () => {
  await backend.dispose();
  rmSync(root, { recursive: true });
});

async function tensorsOf(dir: string): Promise<TensorToWrite[]> {
  const { tensors } = await openSafetensors(join(dir, "model.safetensors"));
  return Promise.all(
    [...tensors.values()].map(async (info) => {
      const values = (await readTensorData(info)) as Float32Array;
      return { name: info.name, dtype: "f32" as const, shape: info.shape, data: new Uint8Array(values.buffer) };
    }),
  );
}

/** A small model and more tensors in its file. */
async function model(family: Family, more: (all: readonly TensorToWrite[]) => TensorToWrite[]): Promise<string> {
  const dir = fresh();
  const config = { model_type: family, architectures: ["X"], vocab_size: 2000, ...CONFIGS[family] };
  await initCausalLm(dir, config, tokenizerDir, 5);
  const all = await tensorsOf(dir);
  await writeSafetensors(join(dir, "model.safetensors"), [...all, ...more(all)]);
  return dir;
}

/** An output head that is the embedding, or that with one number changed. */
function headOf(all: readonly TensorToWrite[], family: Family, differs: boolean): TensorToWrite {
  const table = all.find(({ name }) => name === `${EMBEDDING[family]}.weight`)!;
  const data = Uint8Array.from(table.data as Uint8Array);
  // The last bit of the last number.
  if (differs) data[data.length - 4]! ^= 1;
  return { ...table, name: "lm_head.weight", data };
}

async function open(dir: string): Promise<{ model: CausalLm; said: string[] }> {
  const said: string[] = [];
  return { model: await loadCausalLm(dir, { backend, warn: (line) => said.push(line) }), said };
}

const configOf = (dir: string) => JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as Record<string, unknown>;

describe("a head that is stored although config.json says that it is the embedding", () => {
  it.each(["qwen2", "gpt2", "bloom"] as const)("of %s is the model's own where it differs", async (family) => {
    const dir = await model(family, (all) => [headOf(all, family, true)]);
    const { model: own, said } = await open(dir);
    expect(said).toEqual([expect.stringMatching(/tie_word_embeddings.*they differ; lm_head is used as it is stored$/)]);
    expect(own.options.tieWordEmbeddings).toBe(false);
    const read = (await own.head.weight.read()) as Float32Array;
    const stored = (await openSafetensors(join(dir, "model.safetensors"))).tensors.get("lm_head.weight")!;
    expect(read).toEqual(await readTensorData(stored));
    own.base.dispose();
  });

  it.each(["qwen2", "gpt2"] as const)("of %s is the embedding where it is the same", async (family) => {
    const { model: tied, said } = await open(await model(family, (all) => [headOf(all, family, false)]));
    expect(said).toEqual([]);
    expect(tied.options.tieWordEmbeddings).toBe(true);
    tied.base.dispose();
  });

  it("stays a weight of its own when a model is merged or trained, with gradients of its own, and saved", async () => {
    const dir = await model("qwen2", (all) => [headOf(all, "qwen2", true)]);
    const untied = fresh();
    cpSync(dir, untied, { recursive: true });
    writeFileSync(join(untied, "config.json"), JSON.stringify({ ...configOf(dir), tie_word_embeddings: false }));
    const gradients = await Promise.all(
      [dir, untied].map(async (from) => {
        const { model, arena, trained } = await openTrained(from, "all", { backend });
        const { nll } = tokenLoss(model, collate([{ ids: IDS }]));
        backward(sum(nll));
        const read = await arena.gradients.read();
        if (from === dir) {
          mkdirSync(join(root, "trained"));
          await trained.save(join(root, "trained"));
        }
        disposeArena(arena);
        return read;
      }),
    );
    expect(gradients[0]).toEqual(gradients[1]);
    expect(configOf(join(root, "trained"))["tie_word_embeddings"]).toBe(false);
    expect((await tensorsOf(join(root, "trained"))).some(({ name }) => name === "lm_head.weight")).toBe(true);

    const { trained, arena } = await openTrained(dir, LORA, { backend });
    const adapter = fresh();
    mkdirSync(adapter);
    await trained.save(adapter, dir);
    disposeArena(arena);
    const outputDir = fresh();
    await mergeAdapter({ base: dir, adapter, outputDir, backend }, { log: () => {} });
    expect(configOf(outputDir)["tie_word_embeddings"]).toBe(false);
    const head = (await tensorsOf(outputDir)).find(({ name }) => name === "lm_head.weight");
    expect(head?.data).toEqual(headOf(await tensorsOf(dir), "qwen2", true).data);
  });

  it.skipIf(caseModel === undefined).each(backends)("answers as transformers does: $name", async ({ create }) => {
    const dir = fresh();
    cpSync(caseModel!, dir, { recursive: true });
    rmSync(join(dir, "config.json"));
    cpSync(caseDir("06-stored-head", "config.json"), join(dir, "config.json"));
    const prompt = readFileSync(caseDir("06-stored-head", "prompts.txt"), "utf8").trim();
    const tokenizer = await loadTokenizer(dir);
    const engine = await create();
    const model = await loadCausalLm(dir, { backend: engine });
    const config = { max_new_tokens: 12, eos_token_id: 2 };
    const answers = await generate(model, [tokenizer.encode(prompt)], config, { tokenizer });
    const { ids } = answers[0]![0]!;
    expect(tokenizer.decode(ids, { skipSpecialTokens: true }).trim()).toBe("诊断3然此\u000bkm主此\u000b易=");
    await engine.dispose();
  });
});

describe("tensors that no weight is read from", () => {
  const tensor = (name: string): TensorToWrite => ({ name, dtype: "f32", shape: [1], data: new Uint8Array(4) });

  it.each([
    ["qwen2", ["model.layers.0.self_attn.rotary_emb.inv_freq", "model.rotary_emb.inv_freq"]],
    ["gpt2", ["transformer.h.0.attn.bias", "transformer.h.0.attn.masked_bias"]],
    ["gpt2", ["h.0.attn.bias"]],
  ] as const)("of %s are not spoken of where they are computed anyway: %j", async (family, names) => {
    expect((await open(await model(family, () => names.map(tensor)))).said).toEqual([]);
  });

  it.each([
    ["qwen2", ["model.layers.1.mlp.up_proj.weight"], "model.layers.1.mlp.up_proj.weight"],
    ["qwen2", ["model.layers.0.self_attn.o_proj.bias"], "model.layers.0.self_attn.o_proj.bias"],
    ["bloom", ["a", "b", "c", "d", "e"], "a, b, c and 2 more"],
  ] as const)("of %s are named otherwise: %j", async (family, names, what) => {
    const dir = await model(family, () => names.map(tensor));
    expect((await open(dir)).said).toEqual([
      `${dir}: left out, because the model of config.json has no such weight: ${what}`,
    ]);
  });
});
