import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { createNativeBackend } from "../backends/native/native-backend.js";
import { collate } from "../data/packing/collate.js";
import { loadNative } from "../run/native.js";
import { noGrad } from "../tensor/autograd.js";
import { scope } from "../tensor/scope.js";
import { loadCausalLm } from "./role.js";
import { initCausalLm } from "./init.js";

const loaded = loadNative();
if ("reason" in loaded && process.env["CI"] === "true") throw new Error(loaded.reason);
const tokenizer = fileURLToPath(new URL("../../../../datasets/sample/tokenizer", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "medgpt-gemma2-"));
afterAll(() => rmSync(dir, { recursive: true }));

// sqrt(56) lies nearly half way between two bfloat16 numbers: rounded it would be 0.2 % less.
const HIDDEN = 56;
// So large that each norm only divides by its root, 1,000, and what the layer adds is nothing beside the embeddings.
const EPSILON = 1e6;

describe.skipIf("reason" in loaded)("the scale of the embeddings", () => {
  it.each(["f32", "bf16"] as const)("is not rounded when computing in %s", async (compute) => {
    await initCausalLm(
      dir,
      {
        ...{ model_type: "gemma2", vocab_size: 100, hidden_size: HIDDEN, intermediate_size: 16, rms_norm_eps: EPSILON },
        ...{ num_hidden_layers: 1, num_attention_heads: 2, num_key_value_heads: 1, head_dim: 8, initializer_range: 1 },
        max_position_embeddings: 128,
      },
      tokenizer,
    );
    const backend = createNativeBackend();
    const model = await loadCausalLm(dir, { backend, compute });
    const ids = Int32Array.from({ length: 100 }, (_, id) => id);
    const hidden = (await scope(() => noGrad(() => model.forward(collate([{ ids }])))).read()) as Float32Array;
    const table = (await model.weight("model.embed_tokens.weight").read()) as Float32Array;
    await backend.dispose();
    // The factor between them in the sense of least squares: roundings of single elements cancel out.
    const dot = (a: Float32Array, b: Float32Array): number => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    const scale = (Math.sqrt(EPSILON) * dot(hidden, table)) / dot(table, table);
    expect(Math.abs(scale / Math.sqrt(HIDDEN) - 1)).toBeLessThan(3e-4);
  });
});
