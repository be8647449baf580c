import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { collate } from "../data/collate.js";
import { initCausalLm, loadCausalLm } from "../models/index.js";
import { seededRandom } from "../nn/lora.js";
import { sum } from "../ops/index.js";
import { scope } from "../tensor/scope.js";
import { availableBackends } from "../testing/each-backend.js";
import { keptByLayer, planMemory } from "./memory-plan.js";

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

describe.each(Object.entries(CONFIGS))("the memory plan of %s", (_name, config) => {
  it.each(backends)("knows what a layer keeps on $name", async ({ create }) => {
    const dir = await mkdtemp(join(tmpdir(), "medgpt-memory-"));
    await initCausalLm(dir, { ...config, vocab_size: 2000, hidden_size: 96 }, tokenizer);
    const backend = await create();
    const compute = backend.dtypes.includes("bf16") ? "bf16" : "f32";
    const model = await loadCausalLm(dir, { backend, compute });
    model.addLora(
      { r: 8, lora_alpha: 16, lora_dropout: 0, target_modules: "all", use_rslora: false, modules_to_save: [] },
      seededRandom(1),
    );
    const batch = collate([{ ids: Int32Array.from({ length: 200 }, (_, i) => i) }]);
    /** Bytes alive between the forward and the backward pass. */
    const alive = (recomputedLayers: number): number => {
      const before = backend.memory().liveBytes;
      const loss = scope(() => sum(model.loss(batch, { recomputedLayers }).nll));
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
    model.dispose();
    await backend.dispose();
    await rm(dir, { recursive: true });
  });
});
