import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "@medgpt/artifacts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "../backends/backend.js";
import { collate } from "../data/packing/collate.js";
import { initCausalLm, tokenLoss } from "../models/index.js";
import { disposeArena } from "../nn/parameters.js";
import { sum } from "../ops/index.js";
import { scope } from "../tensor/scope.js";
import { openTrained } from "../testing/open-trained.js";
import { availableBackends } from "../testing/each-backend.js";
import { keptByLayer, planMemory, planTraining, type MemoryTask } from "./memory-plan.js";

const tokenizer = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
const backends = await availableBackends();
const gated = {
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 256,
  num_hidden_layers: 6,
  max_position_embeddings: 256,
};
const CONFIGS = {
  llama: { model_type: "llama", ...gated },
  qwen3: { model_type: "qwen3", ...gated, head_dim: 32 },
  gemma2: { model_type: "gemma2", ...gated, head_dim: 32 },
  bloom: { model_type: "bloom", n_head: 4, n_layer: 6 },
  gpt2: { model_type: "gpt2", n_head: 4, n_layer: 6, n_positions: 256 },
};

const LORA = {
  ...{ r: 8, lora_alpha: 16, lora_dropout: 0, target_modules: "all", use_rslora: false },
  modules_to_save: [],
};

describe.each(Object.entries(CONFIGS))("the memory plan of %s", (_name, config) => {
  it.each(backends)("knows what a layer keeps on $name", async ({ create }) => {
    const dir = await mkdtemp(join(tmpdir(), "medgpt-memory-"));
    await initCausalLm(dir, { ...config, vocab_size: 2000, hidden_size: 96 }, tokenizer);
    const backend = await create();
    const compute = backend.dtypes.includes("bf16") ? "bf16" : "f32";
    const { model, base } = await openTrained(dir, LORA, { backend, compute });
    const batch = collate([{ ids: Int32Array.from({ length: 200 }, (_, i) => i) }]);
    /** Bytes alive between the forward and the backward pass. */
    const alive = (recomputedLayers: number): number => {
      const before = backend.memory().liveBytes;
      const loss = scope(() => sum(tokenLoss(model, batch, { recomputedLayers }).nll));
      const bytes = backend.memory().liveBytes - before;
      loss.dispose();
      return bytes;
    };
    const ranks = model.adapterRanks;
    const shape = { options: model.options, tokens: 200, bytes: compute === "bf16" ? 2 : 4, ranks } as const;
    const boundary = 4 * 200 * model.options.hiddenSize;
    const perLayer = (alive(0) - alive(6)) / 6 + boundary;
    expect(keptByLayer(shape) / perLayer).toBeGreaterThan(0.95);
    expect(keptByLayer(shape) / perLayer).toBeLessThan(1.05);

    const whole = planMemory(shape, Infinity, true);
    expect(whole.recomputed).toBe(0);
    expect(planMemory(shape, whole.expected - 1, true).recomputed).toBeGreaterThan(0);
    expect(planMemory(shape, 0, true).recomputed).toBe(6);
    expect(planMemory(shape, Infinity, "full").recomputed).toBe(6);
    expect(planMemory(shape, 0, false).recomputed).toBe(0);
    base.dispose();
    await backend.dispose();
    await rm(dir, { recursive: true });
  });
});

describe("a run's need of memory", () => {
  const GIB = 2 ** 30;
  let dir: string;
  let backend: Backend;
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "medgpt-memory-"));
    await initCausalLm(dir, { ...CONFIGS.llama, vocab_size: 2000, hidden_size: 96 }, tokenizer);
    backend = await backends[0]!.create();
  });
  afterAll(async () => {
    await backend.dispose();
    await rm(dir, { recursive: true });
  });

  /** What is decided and said on a machine of so many GiB, of batches of rows of 1,024 tokens. */
  async function plan(
    machine: number,
    rows: number,
    { lora = true, ...changes }: Partial<MemoryTask & { lora: boolean }>,
  ) {
    const options = { backend, compute: "f32" } as const;
    const { model, arena } = lora ? await openTrained(dir, LORA, options) : await openTrained(dir, "all", options);
    const task: MemoryTask = {
      gradient_checkpointing: false,
      max_memory: null,
      trained: arena.values.size,
      train: { rows, tokens: rows * 1024 },
      evaluation: { rows: 0, tokens: 0 },
      lengthFlag: "block_size",
      ...changes,
    };
    const said: string[] = [];
    const say = (text: string, level = "info"): void => void said.push(`${level}: ${text}`);
    try {
      return { said, recomputed: planTraining(model, task, say, machine * GIB), error: "" };
    } catch (error) {
      expect(error).toBeInstanceOf(InputError);
      return { said, recomputed: undefined, error: (error as Error).message };
    } finally {
      disposeArena(arena);
      model.base.dispose();
    }
  }

  it("is always said, with its parts", async () => {
    const { said, error } = await plan(1000, 64, {});
    expect(error).toBe("");
    expect(said).toEqual([
      expect.stringMatching(
        /^info: memory: about 2\.\d GiB needed: model \d MiB, adapter and optimizer \d MiB, activations of a step 2\.\d GiB \(64 rows, 65,536 tokens\), program \d+ MiB; this machine has 1000\.0 GiB$/,
      ),
    ]);
    const whole = await plan(1000, 64, { lora: false });
    expect(whole.said[0]).toMatch(/needed: trained weights and optimizer \d+ MiB, /);
  });

  it("is refused where it is clearly more than the machine has, with what to change", async () => {
    const { said, error } = await plan(4, 512, {});
    expect(said).toHaveLength(1);
    expect(error).toMatch(
      /^the run needs about 1\d\.\d GiB of memory, and this machine has 4\.0 GiB; give a smaller --per_device_train_batch_size \(64 would fit\), or a smaller --block_size, or --gradient_checkpointing True; to go on all the same, give --max_memory 1\d$/,
    );
    expect((await plan(4, 64, {})).error).toBe("");
    expect((await plan(4, 512, { lora: false })).error).toContain("--use_peft True");
    expect((await plan(4, 512, { lengthFlag: "model_max_length" })).error).toContain("a smaller --model_max_length");
    expect((await plan(4, 1, { evaluation: { rows: 4096, tokens: 4096 * 1024 } })).error).toContain(
      "a smaller --per_device_eval_batch_size",
    );
  });

  it("is refused by --max_memory in place of the machine's, which is the way to go on", async () => {
    const high = await plan(4, 512, { max_memory: 40 });
    expect(high).toMatchObject({ error: "", said: [expect.stringMatching(/--max_memory allows 40\.0 GiB$/)] });
    expect((await plan(1000, 512, { max_memory: 4 })).error).toContain("and --max_memory allows 4.0 GiB; give");
  });

  it("is warned of where it is near the limit, since an estimate may be wrong", async () => {
    const need = Number(/about ([\d.]+) GiB/.exec((await plan(1000, 64, {})).said[0]!)![1]);
    const near = await plan(need * 0.93, 64, {});
    expect(near.error).toBe("");
    expect(near.said[1]).toMatch(/^warn: the run may need more memory than there is: .*; give a smaller --per_device/);
    expect((await plan(need * 0.8, 64, {})).error).toContain("the run needs about");
  });

  it("counts on what gradient checkpointing saves", async () => {
    const { error, recomputed, said } = await plan(1.5, 64, { gradient_checkpointing: true });
    expect(error).toBe("");
    expect(recomputed).toBeGreaterThan(0);
    expect(said[1]).toMatch(/^info: gradient checkpointing: recomputing \d of 6 layers, about \d+ % more time$/);
    expect((await plan(1.5, 64, {})).error).toContain("--gradient_checkpointing True");
    expect((await plan(1.5, 512, { gradient_checkpointing: true })).error).not.toContain("--gradient_checkpointing");
  });
});
