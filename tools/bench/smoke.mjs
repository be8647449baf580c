/** What the benchmarks run on with --smoke, in a moment and without PyTorch: that they run is tested, and no time is. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createJsBackend } from "@medgpt/core/backends";
import { initCausalLm, openBase, trainedLm } from "@medgpt/core/models";
import { freshAdapter } from "@medgpt/core/nn";
import { loadTokenizer } from "@medgpt/core/tokenizer";
import { root } from "../setup/setup.mjs";

export const SAMPLE = join(root, "datasets/sample");
/** Sizes of the token ids below. */
export const [BATCH, LENGTH] = [2, 16];

/** A folder that is gone when the process ends. */
export function temporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), "medgpt-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A model of random weights in `model`, an adapter of it, and token ids for three steps, as the reference scripts make them. */
export async function tinyModel(model, adapter = `${model}.adapter`, tokens = `${model}.i32`) {
  const { vocabSize } = await loadTokenizer(join(SAMPLE, "tokenizer"));
  const sizes = { hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, max_position_embeddings: 256 };
  const heads = { num_attention_heads: 2, num_key_value_heads: 1, tie_word_embeddings: true };
  await initCausalLm(
    model,
    { model_type: "qwen2", vocab_size: vocabSize, ...sizes, ...heads },
    join(SAMPLE, "tokenizer"),
  );
  const backend = createJsBackend();
  const rank = { r: 2, lora_alpha: 4, lora_dropout: 0, use_rslora: false };
  const config = { target_modules: "all-linear", modules_to_save: [], ...rank };
  const base = await openBase(model, { backend });
  const fresh = freshAdapter(base, config, Math.random);
  trainedLm(base, fresh);
  mkdirSync(adapter);
  await fresh.save(adapter, model);
  await backend.dispose();
  const ids = Int32Array.from({ length: 3 * BATCH * LENGTH }, (_, i) => (7919 * i) % vocabSize);
  writeFileSync(tokens, new Uint8Array(ids.buffer));
}
