/**
 * Greedy decoding beside transformers' generate() on the same weights, in turn:
 *
 *     npm run bench:generate [-- --config qwen2.5-0.5b --dtype bfloat16 --new 128 --ours --smoke]
 *
 * Rows are 1 and 8 sequences of 32 prompt tokens, and the prefill of one of 1,024.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createNativeBackend } from "@medgpt/core/backends";
import { streamTokens } from "@medgpt/core/generation";
import { loadCausalLm } from "@medgpt/core/models";
import { ensureVenv } from "../parity/venv.mjs";
import { root } from "../setup/setup.mjs";
import { temporaryFolder, tinyModel } from "./smoke.mjs";

const { values } = parseArgs({
  options: {
    config: { type: "string", default: "qwen2.5-0.5b" },
    dtype: { type: "string", default: "bfloat16" },
    new: { type: "string", default: "128" },
    ours: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const shared = process.env.MEDGPT_SHARED ?? resolve(root, "../shared");
const folder = values.smoke ? join(temporaryFolder(), "model") : join(root, ".cache/bench", values.config);
if (values.smoke) await tinyModel(folder);
const [newTokens, short, long] = values.smoke ? [4, 2, 8] : [Number(values.new), 32, 1024];

for (const { batch, prompt, count } of [
  { batch: 1, prompt: short, count: newTokens },
  { batch: 8, prompt: short, count: newTokens },
  { batch: 1, prompt: long, count: 2 },
]) {
  const theirs = values.ours || values.smoke ? undefined : reference(batch, prompt, count);
  const ours = await own(batch, prompt, count);
  const decode = count > 2;
  const line = (what, { prefill, rate }, ratio) =>
    console.log(
      `  ${what.padEnd(8)} ${decode ? `${rate.toFixed(1).padStart(7)} tokens/s, ` : ""}prefill ${prefill.toFixed(3)} s${ratio}`,
    );
  console.log(`${values.config} ${values.dtype}, ${batch} x ${prompt} tokens`);
  if (theirs !== undefined) line("theirs", theirs, "");
  const ratio = theirs && (decode ? ours.rate / theirs.rate : theirs.prefill / ours.prefill);
  line("ours", ours, ratio === undefined ? "" : `   ${ratio.toFixed(2)} times`);
}

/** Seconds to the first token, and tokens a second after it, of all sequences together; the best of three runs. */
async function own(batch, prompt, count) {
  if (!existsSync(join(folder, "config.json"))) throw new Error(`no model in ${folder}: run it without --ours first`);
  const backend = createNativeBackend();
  const model = await loadCausalLm(folder, { backend, compute: values.dtype === "bfloat16" ? "bf16" : "f32" });
  const prompts = Array.from({ length: batch }, (_, row) =>
    Int32Array.from(
      { length: prompt },
      (_, i) => (7919 * (row + 1) * (i + 1)) % Math.min(50_000, model.options.vocabSize),
    ),
  );
  const best = { prefill: Infinity, rate: 0 };
  for (let run = 0; run < 3; run++) {
    const start = performance.now();
    let [first, tokens] = [0, 0];
    const stream = streamTokens(model, prompts, { max_new_tokens: count }, { batchSize: batch });
    while (!(await stream.next()).done) {
      tokens++;
      if (tokens === batch) first = performance.now();
    }
    best.prefill = Math.min(best.prefill, (first - start) / 1000);
    best.rate = Math.max(best.rate, (tokens - batch) / ((performance.now() - first) / 1000));
  }
  model.base.dispose();
  await backend.dispose();
  return best;
}

function reference(batch, prompt, count) {
  const args = ["--config", values.config, "--dtype", values.dtype, "--batch", batch, "--prompt", prompt];
  const { status, stdout, stderr } = spawnSync(
    ensureVenv("full"),
    [join(shared, "bench/hf_generate_bench.py"), ...args, "--new", count, "--model-dir", folder, "--json"].map(String),
    { encoding: "utf8" },
  );
  if (status !== 0) throw new Error(stderr);
  const { runs } = JSON.parse(stdout.trim().split("\n").at(-1));
  return {
    prefill: Math.min(...runs.map(({ prefill_s }) => prefill_s)),
    rate: Math.max(...runs.map(({ decode_tokens_per_s }) => decode_tokens_per_s)),
  };
}
