/** Merging against PEFT (reference results B and E), and what it refuses, keeps and says, on toy models. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError, openArtifact } from "@medgpt/artifacts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../numeric/half.js";
import { createJsBackend } from "../backends/js/js-backend.js";
import { readHfConfig } from "../checkpoint/hf-config.js";
import { openSafetensors, readTensorData, writeSafetensors, type TensorInfo } from "../checkpoint/safetensors.js";
import { openCheckpoint } from "../checkpoint/shards.js";
import { collate } from "../data/packing/collate.js";
import type { LoraConfig } from "../checkpoint/lora-config.js";
import { seededRandom } from "../numeric/seeded-random.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { expectClose } from "../testing/all-close.js";
import { availableBackends } from "../testing/each-backend.js";
import { goldenDir, hasGoldens, readCase, readTensors, unpad, type Matrix } from "../testing/goldens.js";
import type { RunContext, RunEvent } from "../run/run-context.js";
import { openTrained } from "../testing/open-trained.js";
import { disposeArena } from "../nn/parameters.js";
import { openBase } from "./base.js";
import { decoderOptions } from "./decoder-options.js";
import { loadCausalLm, scorer } from "./role.js";
import { families } from "./families.js";
import { initCausalLm } from "./init.js";
import { compareOutputs } from "./compare-outputs.js";
import { mergeAdapter, type MergeOptions } from "./merge.js";

const root = mkdtempSync(join(tmpdir(), "medgpt-merge-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const fresh = (): string => join(root, `out-${folders++}`);

const silent: RunContext = { log: () => {} };
const configOf = async (dir: string): Promise<Readonly<Record<string, unknown>>> => (await readHfConfig(dir)).values;
const values = async (info: TensorInfo | undefined) => (await readTensorData(info!)) as Float32Array<ArrayBuffer>;

const known = (name: string, base: string): boolean =>
  !hasGoldens || families.some(({ modelType }) => modelType === readModelType(join(goldenDir(name), base)));
function readModelType(dir: string): unknown {
  return (JSON.parse(readFileSync(join(dir, "config.json"), "utf8")) as { model_type: unknown }).model_type;
}
const casesOf = (section: string): string[] =>
  hasGoldens
    ? readdirSync(goldenDir(section)).filter(
        (name) =>
          existsSync(join(goldenDir(section, name), "case.json")) &&
          known(join(section, name), readCase<{ base: string }>(goldenDir(section, name)).base),
      )
    : ["none"];

const backends = await availableBackends();
let compared = 0;

describe.skipIf(!hasGoldens).each(backends)("on $name", ({ create }) => {
  it.each(casesOf("B_lora"))("merges %s to PEFT's weights and logits", async (name) => {
    const dir = goldenDir("B_lora", name);
    const { base, extra } = readCase<{ base: string; extra: { merged_config_tie_word_embeddings?: boolean } }>(dir);
    const backend = await create();
    const outputDir = fresh();
    const events: RunEvent[] = [];
    const log = (event: RunEvent): void => void events.push(event);
    await mergeAdapter({ base: join(dir, base), adapter: dir, outputDir, backend }, { log });

    const io = await readTensors(join(dir, "io.safetensors"));
    const { tensors } = await openCheckpoint(outputDir);
    const [key] = [...io.keys()].filter((each) => each.startsWith("merged."));
    const merged = await values(tensors.get(key!.slice("merged.".length)));
    expectClose(merged, io.get(key!)!.data, { absolute: 1e-6, relative: 1e-6 });
    if (extra.merged_config_tie_word_embeddings !== undefined) {
      expect((await configOf(outputDir))["tie_word_embeddings"]).toBe(extra.merged_config_tie_word_embeddings);
      const { tensors: saved } = await openSafetensors(join(dir, "adapter_model.safetensors"));
      for (const weight of ["lm_head.weight", "model.embed_tokens.weight"])
        expect(await values(tensors.get(weight))).toEqual(await values(saved.get(`base_model.model.${weight}`)));
    } else {
      expect([...tensors.keys()].includes("lm_head.weight")).toBe(!(await tied(join(dir, base))));
    }

    const model = await loadCausalLm(outputDir, { backend });
    const { rows } = unpad(io);
    const logits = scope(() => noGrad(() => model.head.logits(model.forward(collate(rows.slice(0, 1))))));
    const ours = (await logits.read()) as Float32Array;
    const { data: row0 } = io.get("logits_row0") as Matrix;
    const width = (io.get("merged_logits_last_column") as Matrix).shape[1] as number;
    const last = (io.get("merged_logits_last_column") as Matrix).data.slice(0, width);
    expectClose(ours, row0, { absolute: 1e-4, relative: 0 });
    expectClose(ours.subarray(-width), last, { absolute: 1e-4, relative: 0 });
    expect(sentences(events).at(-1)).toMatch(
      /^the merged model is right, .*: on a sample text the outputs of the two differ by /,
    );
    compared++;
    await backend.dispose();
  });

  it.each(casesOf("E_reward"))("merges %s to a model that gives PEFT's rewards", async (name) => {
    const dir = goldenDir("E_reward", name);
    const { base, ...golden } = readCase<{ base: string; rewards_chosen: number[]; chosen_pooled_positions: number[] }>(
      dir,
    );
    const backend = await create();
    const outputDir = fresh();
    const artifact = await mergeAdapter({ base: join(dir, base), adapter: dir, outputDir, backend }, silent);
    expect(artifact).toMatchObject({
      kind: "reward-model",
      manifest: { details: { pooling: "last-token", center: 0 } },
    });
    const { values: config } = await readHfConfig(outputDir);
    const { architectures } = (await configOf(join(dir, base))) as { architectures: [string] };
    expect(config).toMatchObject({
      architectures: [architectures[0].replace("ForCausalLM", "ForSequenceClassification")],
      id2label: { 0: "LABEL_0" },
      label2id: { LABEL_0: 0 },
    });
    const checkpoint = await openCheckpoint(outputDir);
    expect(checkpoint.tensors.has("lm_head.weight")).toBe(false);
    const model = scorer(await openBase(outputDir, { backend }));

    const io = await readTensors(join(dir, "io.safetensors"));
    const ids = io.get("chosen_ids") as Matrix;
    const mask = io.get("chosen_mask") as Matrix;
    const [count, width] = ids.shape as [number, number];
    const rewards: number[] = [];
    for (let row = 0; row < count; row++) {
      const end = golden.chosen_pooled_positions[row]! + 1;
      const real = [...ids.data.subarray(row * width, row * width + end)].filter(
        (_, i) => mask.data[row * width + i] === 1,
      );
      const batch = collate([{ ids: Int32Array.from(real) }]);
      const reward = scope(() => noGrad(() => model.head.scores(model.forward(batch), Int32Array.of(real.length - 1))));
      rewards.push(await reward.item());
    }
    expectClose(rewards, golden.rewards_chosen, { absolute: 1e-4, relative: 0 });
    compared++;
    await backend.dispose();
  });
});

it.skipIf(!hasGoldens)("compares every case of the families that are here", () => {
  const cases = casesOf("B_lora").length + casesOf("E_reward").length;
  expect(cases).toBeGreaterThan(0);
  expect(compared).toBe(cases * backends.length);
  console.log(`merged ${compared} reference adapters and compared weights, logits and rewards`);
});

async function tied(dir: string): Promise<boolean> {
  return decoderOptions(await readHfConfig(dir)).tieWordEmbeddings;
}

function sentences(events: readonly RunEvent[]): string[] {
  return events.flatMap((event) => (event.type === "message" ? [event.text] : []));
}

const tokenizerDir = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
const SIZES = {
  vocab_size: 2000,
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
};
const LORA: LoraConfig = {
  r: 4,
  lora_alpha: 8,
  lora_dropout: 0,
  target_modules: ["q_proj", "down_proj"],
  use_rslora: false,
  modules_to_save: [],
};

describe("a toy model", () => {
  let backend: Backend;
  const base = (family: "llama" | "qwen2"): string => join(root, family);
  beforeAll(async () => {
    backend = createJsBackend();
    const llama = { architectures: ["LlamaForCausalLM"], model_type: "llama", ...SIZES, tie_word_embeddings: false };
    await initCausalLm(base("llama"), llama, tokenizerDir, 3);
    const qwen2 = { architectures: ["Qwen2ForCausalLM"], model_type: "qwen2", ...SIZES, tie_word_embeddings: true };
    await initCausalLm(base("qwen2"), qwen2, tokenizerDir, 4);
    writeFileSync(join(base("llama"), "generation_config.json"), '{"do_sample": true}');
  });
  afterAll(() => backend.dispose());

  /** An adapter with large random factors, and whole modules twice those of the base. */
  async function adapter(family: "llama" | "qwen2", lora: Partial<LoraConfig> = {}): Promise<string> {
    const dir = fresh();
    mkdirSync(dir);
    const random = seededRandom(9);
    const { arena, trained } = await openTrained(base(family), { ...LORA, ...lora }, { backend });
    for (const parameter of arena.parameters) {
      const old = (await parameter.read()) as Float32Array;
      backend.write(
        parameter,
        parameter.name.includes(".lora_B") ? old.map(() => random() - 0.5) : old.map((x) => 2 * x),
      );
    }
    await trained.save(dir, base(family));
    disposeArena(arena);
    return dir;
  }

  const merge = async (
    family: "llama" | "qwen2",
    lora: string,
    options: Partial<MergeOptions> = {},
    context = silent,
  ) => {
    const outputDir = options.outputDir ?? fresh();
    await mergeAdapter({ base: base(family), adapter: lora, backend, ...options, outputDir }, context);
    return outputDir;
  };

  /** The failure of a merge, which must leave nothing behind. */
  async function refusal(options: Partial<MergeOptions>, context = silent): Promise<Error> {
    const outputDir = options.outputDir ?? fresh();
    const before = existsSync(outputDir) ? readdirSync(outputDir) : undefined;
    const failure = await mergeAdapter(
      { base: base("llama"), adapter: "", backend, ...options, outputDir },
      context,
    ).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Error);
    expect(existsSync(outputDir) ? readdirSync(outputDir) : undefined).toEqual(before);
    expect(readdirSync(dirname(outputDir)).filter((name) => name.includes(`${basename(outputDir)}.`))).toEqual([]);
    return failure as Error;
  }

  /** W + scale B A of one module in double precision. */
  async function sumOf(from: string, lora: string, module: string): Promise<Float64Array> {
    const weight = (await openCheckpoint(from)).tensors.get(`${module}.weight`)!;
    const { tensors } = await openSafetensors(join(lora, "adapter_model.safetensors"));
    const factor = (side: "A" | "B") => tensors.get(`base_model.model.${module}.lora_${side}.weight`)!;
    const [w, a, b] = [await values(weight), await values(factor("A")), await values(factor("B"))];
    const [out, width] = weight.shape as [number, number];
    const rank = LORA.r;
    return Float64Array.from({ length: out * width }, (_, index) => {
      const [row, column] = [Math.floor(index / width), index % width];
      let sum = 0;
      for (let r = 0; r < rank; r++) sum += b[row * rank + r]! * a[r * width + column]!;
      return w[index]! + (LORA.lora_alpha / LORA.r) * sum;
    });
  }

  it("changes the adapter's targets and copies every other weight, byte for byte", async () => {
    const lora = await adapter("llama");
    const dir = await merge("llama", lora);
    const [before, after] = [await openCheckpoint(base("llama")), await openCheckpoint(dir)];
    expect([...after.tensors.keys()].sort()).toEqual([...before.tensors.keys()].sort());
    for (const [name, info] of before.tensors) {
      const now = await values(after.tensors.get(name));
      if (/q_proj|down_proj/.test(name))
        expectClose(now, await sumOf(base("llama"), lora, name.replace(".weight", "")), {
          absolute: 1e-7,
          relative: 1e-6,
        });
      else expect(now, name).toEqual(await values(info));
    }
    expect(await configOf(dir)).toEqual(await configOf(base("llama")));
  });

  it("is an artifact with its lineage, tokenizer and generation settings", async () => {
    const lora = await adapter("llama");
    const dir = await merge("llama", lora);
    const { inferred, manifest } = await openArtifact(dir, "causal-lm");
    expect(inferred).toBe(false);
    expect(manifest.inputs.map(({ kind, path }) => ({ kind, path }))).toEqual([
      { kind: "causal-lm", path: base("llama") },
      { kind: "adapter", path: lora },
    ]);
    expect(Object.keys(manifest.files)).toEqual([
      "config.json",
      "generation_config.json",
      "model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    expect(manifest.details).toMatchObject({ family: "llama", vocabSize: 2000 });
    for (const name of ["tokenizer.json", "generation_config.json"])
      expect(readFileSync(join(dir, name))).toEqual(readFileSync(join(base("llama"), name)));
  });

  it("takes the adapter's tokenizer and its chat template where it has them", async () => {
    const lora = await adapter("llama");
    for (const name of ["tokenizer.json", "tokenizer_config.json"])
      copyFileSync(join(tokenizerDir, name), join(lora, name));
    writeFileSync(join(lora, "chat_template.jinja"), "{{ messages }}");
    const dir = await merge("llama", lora);
    expect(readFileSync(join(dir, "chat_template.jinja"), "utf8")).toBe("{{ messages }}");
    expect(existsSync(join(await merge("llama", lora, { tokenizer: base("llama") }), "chat_template.jinja"))).toBe(
      false,
    );
  });

  it("writes shards beyond the limit", async () => {
    const dir = await merge("llama", await adapter("llama"), { maxShardBytes: 150_000 });
    const files = readdirSync(dir).filter((name) => name.startsWith("model"));
    expect(files.at(-1)).toBe("model.safetensors.index.json");
    expect(files).toHaveLength(4);
    await openArtifact(dir, "causal-lm");
  });

  const halves = backends.flatMap(({ name, create }) =>
    (["bf16", "f16"] as const).map((dtype) => ({ name, create, dtype })),
  );
  it.each(halves)(
    "is written in $dtype where asked, keeps it from then on, and is rounded once: $name",
    async (half) => {
      const { dtype, create } = half;
      const rounding = await create();
      const lora = await adapter("llama");
      const first = await merge("llama", lora, { dtype, backend: rounding });
      expect((await configOf(first))["dtype"]).toBe(dtype === "bf16" ? "bfloat16" : "float16");
      const second = await merge("llama", lora, { base: first, backend: rounding });
      await rounding.dispose();
      const { tensors } = await openCheckpoint(second);
      for (const info of tensors.values()) expect(info.dtype).toBe(dtype);
      expect(await configOf(second)).toEqual(await configOf(first));
      const round = dtype === "bf16" ? (x: number) => bf16ToF32(f32ToBf16(x)) : (x: number) => f16ToF32(f32ToF16(x));
      const embedding = "model.embed_tokens.weight";
      const original = await values((await openCheckpoint(base("llama"))).tensors.get(embedding));
      expect(await values(tensors.get(embedding))).toEqual(original.map(round));
      const module = "model.layers.1.mlp.down_proj";
      const merged = await values(tensors.get(`${module}.weight`));
      const exact = await sumOf(first, lora, module);
      const off = merged.filter((value, index) => value !== round(exact[index]!));
      // The f32 sum may lie on the other side of the middle between two halves than the exact one.
      expect(off.length).toBeLessThan(merged.length / 200);
    },
  );

  it.each([
    { modules_to_save: ["embed_tokens"], twice: ["model.embed_tokens.weight"], once: ["lm_head.weight"] },
    { modules_to_save: ["lm_head"], twice: ["lm_head.weight"], once: ["model.embed_tokens.weight"] },
    { modules_to_save: ["embed_tokens", "lm_head"], twice: ["lm_head.weight", "model.embed_tokens.weight"], once: [] },
  ])(
    "is untied when it was tied and the adapter trained $modules_to_save",
    async ({ modules_to_save, twice, once }) => {
      const dir = await merge("qwen2", await adapter("qwen2", { modules_to_save }));
      expect((await configOf(dir))["tie_word_embeddings"]).toBe(false);
      const { tensors } = await openCheckpoint(dir);
      const table = await values((await openCheckpoint(base("qwen2"))).tensors.get("model.embed_tokens.weight"));
      for (const name of twice) expect(await values(tensors.get(name)), name).toEqual(table.map((value) => 2 * value));
      for (const name of once) expect(await values(tensors.get(name)), name).toEqual(table);
    },
  );

  it("stays tied otherwise, norms trained in full or not", async () => {
    const dir = await merge("qwen2", await adapter("qwen2", { modules_to_save: ["norm"] }));
    expect((await configOf(dir))["tie_word_embeddings"]).toBe(true);
    const { tensors } = await openCheckpoint(dir);
    expect(tensors.has("lm_head.weight")).toBe(false);
    expect(await values(tensors.get("model.norm.weight"))).toEqual(new Float32Array(SIZES.hidden_size).fill(2));
  });

  it("is refused another base than the adapter's unless asked for, and says what it leaves out of the base", async () => {
    const lora = await adapter("llama");
    const other = fresh();
    mkdirSync(other);
    for (const name of readdirSync(base("llama"))) copyFileSync(join(base("llama"), name), join(other, name));
    const { tensors } = await openCheckpoint(other);
    const all = await Promise.all(
      [...tensors.values()].map(async (info) => {
        const data = new Uint8Array((await values(info)).buffer);
        return { name: info.name, dtype: "f32" as const, shape: info.shape, data };
      }),
    );
    const beside = ["model.rotary_emb.inv_freq", "model.mtp.proj.weight"].map((name) => {
      return { name, dtype: "f32" as const, shape: [4], data: new Uint8Array(16) };
    });
    await writeSafetensors(join(other, "model.safetensors"), [...all, ...beside]);
    const { digest } = await openArtifact(base("llama"), "causal-lm");
    const events: RunEvent[] = [];
    const context = { log: (event: RunEvent) => void events.push(event) };
    const manifest = {
      medgpt: 1,
      kind: "adapter",
      createdBy: null,
      inputs: [],
      files: (await openArtifact(lora, "adapter")).manifest.files,
      details: { base: { kind: "causal-lm", path: base("llama"), digest }, rank: 4, alpha: 8, targetModules: [] },
    };
    writeFileSync(join(lora, "medgpt.json"), JSON.stringify(manifest));
    const differs = `the adapter was trained on ${base("llama")}, and ${other} is not that model, or its files have changed since`;
    expect((await refusal({ base: other, adapter: lora })).message).toBe(
      `${lora}: ${differs}; give that one, or --allow_other_base to merge all the same`,
    );
    await merge("llama", lora, { base: other, allowOtherBase: true }, context);
    expect(sentences(events)).toEqual([
      differs,
      `${other}: left out, because the model of config.json has no such weight: model.mtp.proj.weight`,
      expect.stringContaining("the merged model is right"),
    ]);
  });

  it("is not merged with an adapter of another shape, of other modules, or of more than its configuration names", async () => {
    const lora = await adapter("llama");
    const weights = join(lora, "adapter_model.safetensors");
    const { tensors } = await openSafetensors(weights);
    const entries = await Promise.all(
      [...tensors.values()].map(async (info) => ({
        name: info.name,
        dtype: "f32" as const,
        shape: info.shape,
        data: new Uint8Array((await values(info)).buffer),
      })),
    );
    const [first, ...rest] = entries;
    const cases: [typeof entries, string][] = [
      [[{ ...first!, shape: [first!.shape[0]! * 2, first!.shape[1]! / 2] }, ...rest], "expected shape ("],
      [entries.map((each) => ({ ...each, name: each.name.replace("layers.1", "layers.2") })), "is for another model"],
      [
        entries.map((each) => ({ ...each, name: each.name.replace("q_proj", "v_proj") })),
        "weights for model.layers.0.self_attn.",
      ],
      [
        [...entries, ...entries.map((each) => ({ ...each, name: each.name.replace("q_proj", "o_proj") }))].filter(
          (each, index, all) => all.findIndex(({ name }) => name === each.name) === index,
        ),
        "the adapter has weights for model.layers.0.self_attn.o_proj, which",
      ],
      [
        [...entries, { name: "base_model.model.lm_head.weight", dtype: "f32", shape: [1], data: new Uint8Array(4) }],
        "the adapter was trained with another vocabulary than the base's 2000 rows, and has only a part of it",
      ],
      [
        [...entries, { name: "base_model.model.model.norm.weight", dtype: "f32", shape: [1], data: new Uint8Array(4) }],
        "the adapter has weights for model.norm.weight, which",
      ],
    ];
    for (const [changed, message] of cases) {
      await writeSafetensors(weights, changed);
      const failure = await refusal({ adapter: lora });
      expect(failure).toBeInstanceOf(InputError);
      expect(failure.message).toContain(message);
      expect(failure.message).toContain(lora);
    }
  });

  it("is not merged where the result has no place", async () => {
    const lora = await adapter("llama");
    const used = await merge("llama", lora);
    expect((await refusal({ adapter: lora, outputDir: used })).message).toContain(
      "is in use; choose another folder, or give --overwrite_output_dir",
    );
    await merge("llama", lora, { outputDir: used, overwrite: true });
    for (const taken of [base("llama"), lora])
      expect((await refusal({ adapter: lora, outputDir: taken, overwrite: true })).message).toContain(
        "would take the place of what it is made from",
      );
  });

  it.each([
    [{ task_type: "TOKEN_CLS" }, 'expected task_type "CAUSAL_LM" or "SEQ_CLS", got "TOKEN_CLS"'],
    [{ task_type: "SEQ_CLS" }, "neither the adapter nor its base has score.weight"],
  ])("is not merged with an adapter of %j", async (change, message) => {
    const lora = await adapter("llama");
    const file = join(lora, "adapter_config.json");
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, "utf8")) as object), ...change }));
    expect((await refusal({ adapter: lora })).message).toContain(message);
  });

  it("is not given a tokenizer with more tokens than it has embeddings", async () => {
    const lora = await adapter("llama");
    const tokenizer = fresh();
    mkdirSync(tokenizer);
    const json = JSON.parse(readFileSync(join(tokenizerDir, "tokenizer.json"), "utf8")) as { added_tokens: object[] };
    const added = { id: 2000, content: "发热", special: false, normalized: false, lstrip: false, rstrip: false };
    json.added_tokens.push({ ...added, single_word: false });
    writeFileSync(join(tokenizer, "tokenizer.json"), JSON.stringify(json));
    expect((await refusal({ adapter: lora, tokenizer })).message).toContain(
      "the tokenizer has 2001 tokens and the model only 2000 embeddings",
    );
  });

  it("is not finished when what was written computes something else", async () => {
    const lora = await adapter("llama");
    const outputDir = fresh();
    const failure = await refusal(
      { adapter: lora, outputDir },
      {
        log: (event) => {
          if (event.type !== "progress" || event.task !== "comparing" || event.done > 0) return;
          const staging = readdirSync(root).find((name) => name.startsWith(`.${basename(outputDir)}.partial`));
          const file = join(root, staging!, "model.safetensors");
          const bytes = readFileSync(file);
          // The last weight of a file is a projection of the last layer: one byte of its last exponent.
          bytes[bytes.length - 1] = 0x43;
          writeFileSync(file, bytes);
        },
      },
    );
    expect(failure).toBeInstanceOf(InputError);
    expect(failure.message).toMatch(
      /: the merged model does not compute what base \+ adapter do: on a sample text the outputs of the two differ by [\d.]+ % .*; nothing was written$/,
    );
  });

  it("leaves nothing behind when it is interrupted", async () => {
    const controller = new AbortController();
    const failure = await refusal(
      { adapter: await adapter("llama") },
      {
        signal: controller.signal,
        log: (event) => {
          if (event.type === "progress" && event.task === "merging") controller.abort();
        },
      },
    );
    expect(failure.name).toBe("AbortError");
  });

  it("frees what it took", async () => {
    const lora = await adapter("llama");
    const before = backend.memory().liveBuffers;
    await merge("llama", lora);
    await refusal({ adapter: lora, outputDir: base("qwen2") });
    expect(backend.memory().liveBuffers).toBe(before);
  });
});

describe("the comparison of outputs", () => {
  const expected = Float32Array.from({ length: 1000 }, (_, i) => Math.sin(i));
  const off = (by: number): Float32Array => expected.map((value, i) => value + (i % 2 === 0 ? by : -by));

  it.each([
    ["f32", 5e-5, 1e-4],
    ["f16", 4e-3, 8e-3],
    ["bf16", 3e-2, 6e-2],
  ] as const)("allows what rounding to %s explains", (dtype, within, beyond) => {
    expect(compareOutputs(expected, off(within), dtype, "out")).toMatch(/^the merged model is right/);
    expect(() => compareOutputs(expected, off(beyond), dtype, "out")).toThrow("out: the merged model does not compute");
  });

  it.each([NaN, Infinity])("never allows %d", (value) => {
    const broken = expected.slice();
    broken[500] = value;
    expect(() => compareOutputs(expected, broken, "bf16", "out")).toThrow("float32 rounds less");
  });
});
