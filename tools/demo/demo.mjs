/**
 * The main job on a fresh machine: continued pretraining on the bundled synthetic medical sample, through the command a
 * user would type. Without --model a small Llama is initialised first; with it a LoRA adapter of that model is trained.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chooseBackend } from "@medgpt/core/backends";
import { generate } from "@medgpt/core/generation";
import { initCausalLm, loadCausalLm } from "@medgpt/core/models";
import { loadTokenizer } from "@medgpt/core/tokenizer";

const { values } = parseArgs({
  options: { model: { type: "string" }, output: { type: "string", default: "outputs-demo" } },
});
const root = fileURLToPath(new URL("../../", import.meta.url));
const sample = join(root, "datasets/sample");
const output = values.output;
const started = performance.now();

const { backend } = await chooseBackend({ backend: "auto" });
const native = backend.name === "native";
let model = values.model;
if (model === undefined) {
  model = join(output, "base");
  const hidden = native ? 256 : 64;
  console.log(
    `Initialising a Llama of hidden size ${hidden} in ${model}${native ? "" : " (a smaller one, since the native kernels are not built)"}`,
  );
  const tokenizer = await loadTokenizer(join(sample, "tokenizer"));
  await rm(model, { recursive: true, force: true });
  await initCausalLm(
    model,
    {
      architectures: ["LlamaForCausalLM"],
      model_type: "llama",
      vocab_size: tokenizer.vocabSize,
      hidden_size: hidden,
      intermediate_size: 3 * hidden,
      num_hidden_layers: native ? 4 : 2,
      num_attention_heads: 4,
      num_key_value_heads: 2,
      max_position_embeddings: 256,
      rms_norm_eps: 1e-5,
      rope_theta: 10000,
      tie_word_embeddings: true,
      bos_token_id: tokenizer.bosId ?? null,
      eos_token_id: tokenizer.eosId ?? null,
      pad_token_id: tokenizer.padId ?? null,
    },
    join(sample, "tokenizer"),
  );
}

const adapter = values.model !== undefined;
const trained = join(output, "pretrained");
const flags = {
  model_name_or_path: model,
  train_file_dir: join(sample, "pretrain"),
  output_dir: trained,
  overwrite_output_dir: true,
  do_train: true,
  do_eval: true,
  validation_split_percentage: 10,
  block_size: 128,
  per_device_train_batch_size: 4,
  learning_rate: adapter ? 2e-4 : 2e-3,
  lr_scheduler_type: "cosine",
  warmup_ratio: 0.1,
  num_train_epochs: adapter ? 1 : native ? 6 : 3,
  logging_steps: 20,
  save_strategy: "no",
  use_peft: adapter,
  report_to: "tensorboard",
};
const argv = Object.entries(flags).flatMap(([name, value]) => [
  `--${name}`,
  typeof value === "boolean" ? (value ? "True" : "False") : String(value),
]);
console.log(`\n$ medgpt pretrain ${argv.join(" ")}\n`);
const run = spawnSync(process.execPath, [join(root, "packages/cli/bin/medgpt.js"), "pretrain", ...argv], {
  stdio: "inherit",
});
if (run.status !== 0) process.exit(run.status ?? 1);

const results = JSON.parse(await readFile(join(trained, "all_results.json"), "utf8"));
const tokenizer = await loadTokenizer(model);
const baseline = await unigramBaseline();
console.log(`\nLoss on held-out text: ${results.eval_loss.toFixed(3)} (perplexity ${results.perplexity.toFixed(1)}).`);
console.log(
  `Knowing only how often each token occurs gives ${baseline.toFixed(3)}: the model is ${results.eval_loss < baseline ? "better" : "not better"} than that.`,
);

const text = "如果头晕持续超过半年，";
const lm = await loadCausalLm(adapter ? model : trained, { backend });
if (adapter) await lm.loadAdapter(trained);
const config = { max_new_tokens: 32, eos_token_id: tokenizer.eosId ?? null };
const [[{ ids }]] = await generate(lm, [tokenizer.encode(text)], config);
console.log(
  `\nA continuation:\n  ${text}|${tokenizer.decode(ids, { skipSpecialTokens: true }).replaceAll("\n", "\\n")}`,
);
lm.dispose();
await backend.dispose();

console.log(`\nIn ${output}:`);
for (const [path, what] of [
  ["base", "the model it started from"],
  ["pretrained", adapter ? "the adapter, as PEFT reads it" : "the trained model, as transformers reads it"],
  ["pretrained/trainer_state.json", "loss, learning rate and gradient norm of the run"],
  ["pretrained/runs", "TensorBoard files"],
  ["pretrained/medgpt.json", "what it was made from, and how"],
])
  if (existsSync(join(output, path))) console.log(`  ${path.padEnd(30)} ${what}`);
console.log(
  `\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s on the ${backend.name} backend (${backend.description}).`,
);
if (!(results.eval_loss < baseline) && !adapter) process.exit(1);

/** Cross entropy of the held-out tokens under the token frequencies of the rest, each count raised by one. */
async function unigramBaseline() {
  const { documentCount, listTextFiles, readDocument, tokenizeFiles, validationCount } =
    await import("@medgpt/core/data");
  const { files } = await listTextFiles(flags.train_file_dir);
  const documents = await tokenizeFiles(files, tokenizer, { keepLinebreaks: true }, { log: () => undefined });
  const held = validationCount(documentCount(documents), flags.validation_split_percentage);
  const counts = new Float64Array(tokenizer.vocabSize).fill(1);
  let [loss, tokens] = [0, 0];
  for (let i = held; i < documentCount(documents); i++) for (const id of await readDocument(documents, i)) counts[id]++;
  const total = counts.reduce((a, b) => a + b, 0);
  for (let i = 0; i < held; i++)
    for (const id of await readDocument(documents, i)) {
      loss -= Math.log(counts[id] / total);
      tokens++;
    }
  await documents.close();
  return loss / tokens;
}
