/**
 * The main job on a fresh machine: continued pretraining on the bundled synthetic medical sample, then fine-tuning on its
 * dialogues, each through the command a user would type, and three questions answered before and after. Without --model a
 * small Llama is initialised and every weight of it trained; with it LoRA adapters of that model are.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chooseBackend } from "@medgpt/core/backends";
import { initCausalLm } from "@medgpt/core/models";
import { loadTokenizer } from "@medgpt/core/tokenizer";

const { values } = parseArgs({
  options: { model: { type: "string" }, output: { type: "string", default: "outputs-demo" } },
});
const root = fileURLToPath(new URL("../../", import.meta.url));
const sample = join(root, "datasets/sample");
const output = values.output;
const adapter = values.model !== undefined;
const started = performance.now();

const { backend } = await chooseBackend({ backend: "auto" });
const native = backend.name === "native";
await backend.dispose();
const model = values.model ?? join(output, "base");
if (!adapter) await initialise(native ? 256 : 64);
const tokenizer = await loadTokenizer(model);

const common = {
  overwrite_output_dir: true,
  do_train: true,
  do_eval: true,
  per_device_train_batch_size: 4,
  lr_scheduler_type: "cosine",
  warmup_ratio: 0.1,
  logging_steps: 20,
  save_strategy: "no",
  use_peft: adapter,
  report_to: "tensorboard",
};
const pretrained = join(output, "pretrained");
const text = { train_file_dir: join(sample, "pretrain"), validation_split_percentage: 10 };
medgpt("pretrain", {
  ...common,
  ...text,
  model_name_or_path: model,
  output_dir: pretrained,
  block_size: 128,
  learning_rate: adapter ? 2e-4 : 2e-3,
  num_train_epochs: adapter ? 1 : native ? 6 : 3,
});
const results = await readJson(pretrained, "all_results.json");
const baseline = await unigramBaseline();
console.log(`\nLoss on held-out text: ${results.eval_loss.toFixed(3)} (perplexity ${results.perplexity.toFixed(1)}).`);
console.log(
  `Knowing only how often each token occurs gives ${baseline.toFixed(3)}: the model is ${results.eval_loss < baseline ? "better" : "not better"} than that.`,
);

const tuned = join(output, "sft");
const template = adapter ? {} : { template_name: "ziya" };
medgpt("sft", {
  ...common,
  ...template,
  ...(adapter ? { model_name_or_path: model, peft_path: pretrained } : { model_name_or_path: pretrained }),
  train_file_dir: join(sample, "sft/train"),
  validation_file_dir: join(sample, "sft/validation"),
  output_dir: tuned,
  model_max_length: 512,
  learning_rate: adapter ? 2e-4 : 2e-3,
  num_train_epochs: adapter ? 1 : native ? 6 : 1,
  eval_on_start: true,
  eval_strategy: "epoch",
});
const { log_history } = await readJson(tuned, "trainer_state.json");
const losses = log_history.flatMap(({ eval_loss }) => eval_loss ?? []);
const [before, after] = [losses[0], losses.at(-1)];
console.log(`\nLoss of answers in held-out dialogues: ${before.toFixed(3)} before, ${after.toFixed(3)} after.`);

const questions = await heldOutQuestions();
const untuned = answers("pretrained", pretrained);
const answered = answers("fine-tuned", tuned);
questions.forEach((question, index) => {
  console.log(`\n? ${question}\n  before: ${untuned[index]}\n  after:  ${answered[index]}`);
});

console.log(`\nIn ${output}:`);
for (const [path, what] of [
  ["base", "the model it started from"],
  ["pretrained", adapter ? "the adapter, as PEFT reads it" : "the pretrained model, as transformers reads it"],
  ["sft", adapter ? "the adapter, trained on" : "the fine-tuned model"],
  ["sft/trainer_state.json", "loss, learning rate and gradient norm of the run"],
  ["sft/runs", "TensorBoard files"],
  ["sft/medgpt.json", "what it was made from, and how"],
])
  if (existsSync(join(output, path))) console.log(`  ${path.padEnd(30)} ${what}`);
console.log(`\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s on the ${backend.name} backend.`);
if (!(after < before) || (!(results.eval_loss < baseline) && !adapter)) process.exit(1);

/** A small Llama with random weights. */
async function initialise(hidden) {
  const small = native ? "" : " (a smaller one, since the native kernels are not built)";
  console.log(`Initialising a Llama of hidden size ${hidden} in ${model}${small}`);
  const { vocabSize, bosId, eosId, padId } = await loadTokenizer(join(sample, "tokenizer"));
  await rm(model, { recursive: true, force: true });
  const config = {
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    vocab_size: vocabSize,
    hidden_size: hidden,
    intermediate_size: 3 * hidden,
    num_hidden_layers: native ? 4 : 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    max_position_embeddings: 512,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    tie_word_embeddings: true,
    bos_token_id: bosId ?? null,
    eos_token_id: eosId ?? null,
    pad_token_id: padId ?? null,
  };
  await initCausalLm(model, config, join(sample, "tokenizer"));
}

/** Runs a command as a user would. */
function medgpt(command, flags, stdio = "inherit") {
  const argv = Object.entries(flags).flatMap(([name, value]) => [
    `--${name}`,
    typeof value === "boolean" ? (value ? "True" : "False") : String(value),
  ]);
  if (stdio === "inherit") console.log(`\n$ medgpt ${command} ${argv.join(" ")}\n`);
  const script = join(root, "packages/cli/bin/medgpt.js");
  const { status, stdout } = spawnSync(process.execPath, [script, command, ...argv], { stdio, encoding: "utf8" });
  if (status !== 0) process.exit(status ?? 1);
  return stdout;
}

/** What a model says to the questions, at most so many tokens of it. */
function answers(name, folder) {
  const weights = adapter ? { model_name_or_path: model, adapter: folder } : { model_name_or_path: folder };
  const flags = { ...weights, ...template, max_new_tokens: 48 };
  console.log(`\nAsking the ${name} model ${questions.length} questions`);
  return questions.map((prompt) =>
    medgpt("generate", { ...flags, prompt }, ["ignore", "pipe", "ignore"])
      .trim()
      .replaceAll("\n", "\\n"),
  );
}

/** The first questions of held-out dialogues, two in Chinese and one in English. */
async function heldOutQuestions() {
  const first = async (language, count) =>
    (await readFile(join(sample, "sft/validation", `${language}.jsonl`), "utf8"))
      .split("\n")
      .slice(0, count)
      .map((line) => JSON.parse(line).conversations.find(({ from }) => from === "human").value);
  return [...(await first("zh", 2)), ...(await first("en", 1))];
}

async function readJson(...path) {
  return JSON.parse(await readFile(join(...path), "utf8"));
}

/** Cross entropy of the held-out tokens under the token frequencies of the rest, each count raised by one. */
async function unigramBaseline() {
  const { documentCount, listTextFiles, readDocument, tokenizeFiles, validationCount } =
    await import("@medgpt/core/data");
  const { files } = await listTextFiles(text.train_file_dir);
  const documents = await tokenizeFiles(files, tokenizer, { keepLinebreaks: true }, { log: () => undefined });
  const held = validationCount(documentCount(documents), text.validation_split_percentage);
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
