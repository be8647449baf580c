/**
 * The main job on a fresh machine: continued pretraining on the bundled synthetic medical sample, then fine-tuning on its
 * dialogues, each through the command a user would type, and three questions answered before and after. Without --model a
 * small Llama is initialised and every weight of it trained, and the same fine-tuning without the pretraining says what the
 * latter brought; with it LoRA adapters of that model are trained.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chooseBackend } from "@medgpt/core/backends";
import { initCausalLm, openBase } from "@medgpt/core/models";
import { loadTokenizer } from "@medgpt/core/tokenizer";

const { values } = parseArgs({ options: { model: { type: "string" }, output: { type: "string" } } });
const root = fileURLToPath(new URL("../../", import.meta.url));
const sample = relative(process.cwd(), join(root, "datasets/sample"));
const adapter = values.model !== undefined;
// A folder for each model, so that none takes another's.
const output = values.output ?? (adapter ? `outputs-demo-${basename(resolve(values.model))}` : "outputs-demo");
const started = performance.now();

const { backend } = await chooseBackend({ backend: "auto" });
const native = backend.name === "native";
const bf16 = adapter && backend.dtypes.includes("bf16");
const model = values.model ?? join(output, "base");
/** As texts of the sample begin. */
const BEGINNINGS = ["女性，40岁，", "A 60-year-old man noticed"];
const epochs = adapter ? [1, 1] : native ? [16, 6] : [3, 1];
const text = { train_file_dir: join(sample, "pretrain"), validation_split_percentage: 10 };
const dialogues = { train_file_dir: join(sample, "sft/train"), validation_file_dir: join(sample, "sft/validation") };
if (!adapter) await initialise(native ? 128 : 64);
const tokenizer = await loadTokenizer(model);
console.log(
  `\nThis takes about ${adapter ? await expectedTime() : native ? "three minutes on two cores" : "ten minutes"}.`,
);
await backend.dispose();

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
  ...(bf16 ? { bf16 } : {}),
};
const pretrained = join(output, "pretrained");
medgpt("pretrain", {
  ...common,
  ...text,
  model_name_or_path: model,
  output_dir: pretrained,
  block_size: 128,
  learning_rate: adapter ? 2e-4 : 3e-3,
  num_train_epochs: epochs[0],
});
const results = await readJson(pretrained, "all_results.json");
const baseline = await unigramBaseline();
console.log(`\nLoss on held-out text: ${results.eval_loss.toFixed(3)} (perplexity ${results.perplexity.toFixed(1)}).`);
console.log(
  `Knowing only how often each token occurs gives ${baseline.toFixed(3)}: the model is ${results.eval_loss < baseline ? "better" : "not better"} than that.`,
);

const template = adapter ? {} : { template_name: "ziya" };
const tuned = join(output, "sft");
const tune = (from, into) => {
  medgpt("sft", {
    ...common,
    ...template,
    ...from,
    ...dialogues,
    output_dir: into,
    model_max_length: 512,
    learning_rate: adapter ? 2e-4 : 2e-3,
    num_train_epochs: epochs[1],
    eval_on_start: true,
    eval_strategy: "epoch",
  });
};
const answerLosses = async (folder) => {
  const losses = (await readJson(folder, "trainer_state.json")).log_history.flatMap(({ eval_loss }) => eval_loss ?? []);
  return [losses[0], losses.at(-1)];
};
tune(adapter ? { model_name_or_path: model, peft_path: pretrained } : { model_name_or_path: pretrained }, tuned);
const [before, after] = await answerLosses(tuned);
const untrained = join(output, "sft-without-pretraining");
if (!adapter) {
  console.log("\nThe same fine-tuning of the untrained model, to see what the pretraining brought:");
  tune({ model_name_or_path: model }, untrained);
}
const without = adapter ? undefined : (await answerLosses(untrained))[1];

const guessing = Math.log(tokenizer.vocabSize);
console.log("\nLoss of answers in held-out dialogues (less is better):");
const rows = [
  ["every token equally likely", guessing],
  ["pretrained", before],
  ...(without === undefined ? [] : [["fine-tuned without pretraining", without]]),
  [without === undefined ? "fine-tuned" : "pretrained and fine-tuned", after],
];
for (const [what, loss] of rows) console.log(`  ${what.padEnd(32)} ${loss.toFixed(3).padStart(6)}`);
if (before > guessing)
  console.log("Pretrained is worse than guessing: it has seen running text only, and never how a dialogue is written.");
if (without !== undefined) {
  const gain = without - after;
  console.log(
    gain > 0
      ? `The pretraining brought ${gain.toFixed(2)}: a token of the answers is ${Math.exp(gain).toFixed(1)} times as likely.`
      : "The pretraining brought nothing here.",
  );
}

const questions = await heldOutQuestions();
const untuned = await answers("pretrained", pretrained);
const answered = await answers("fine-tuned", tuned);
questions.forEach((question, index) => {
  console.log(`\n? ${question}\n  before: ${untuned[index]}\n  after:  ${answered[index]}`);
});
if (!adapter) {
  console.log(
    "\nThese are no answers, and were not to be expected: a million weights that have read 120 KB and 280 dialogues learn\n" +
      "which words belong together, and little more. Start from a model that can read already, for answers that make\n" +
      "sense: npm run demo -- --model DIR",
  );
  console.log("\nWhat it can do is go on with text of the kind that it was pretrained on:");
  const texts = await generated(BEGINNINGS, { model_name_or_path: pretrained, raw: true });
  texts.forEach((rest, index) => {
    console.log(`  ${BEGINNINGS[index]} … ${rest}`);
  });
}

console.log(`\nIn ${output}:`);
for (const [path, what] of [
  ["base", "the model it started from"],
  ["pretrained", adapter ? "the adapter, as PEFT reads it" : "the pretrained model, as transformers reads it"],
  ["sft", adapter ? "the adapter, trained on" : "the fine-tuned model"],
  ["sft-without-pretraining", "the other one, fine-tuned from the start"],
  ["sft/trainer_state.json", "loss, learning rate and gradient norm of the run"],
  ["sft/runs", "TensorBoard files"],
  ["sft/medgpt.json", "what it was made from, and how"],
])
  if (existsSync(join(output, path))) console.log(`  ${path.padEnd(30)} ${what}`);
console.log(`\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s on the ${backend.name} backend.`);
console.log("\nTo try next:");
const next = adapter
  ? [["chat", { model_name_or_path: model, adapter: tuned }]]
  : [
      ["generate", { raw: true, model_name_or_path: pretrained, max_new_tokens: 48, prompt: BEGINNINGS.at(-1) }],
      ["chat", { model_name_or_path: tuned, ...template }],
    ];
for (const [command, flags] of next) console.log(`  ${commandLine(command, flags)}`);
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

/** About how long a real model takes: of the speed that its products alone would have here, half is reached. */
async function expectedTime() {
  if (!native) return "hours, since the native kernels are not built";
  const { peakGflops } = await import("@medgpt/native");
  const { parameterCount } = await openBase(model, { backend });
  const folders = [text.train_file_dir, dialogues.train_file_dir, dialogues.validation_file_dir];
  const names = folders.flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)));
  const texts = await Promise.all(names.map((name) => readFile(name, "utf8")));
  const tokens = (await tokenizer.encodeBatch(texts)).reduce((sum, { length }) => sum + length, 0);
  const peak = await peakGflops(bf16, availableParallelism(), 500);
  return `${1 + Math.round((4 * parameterCount * tokens) / 1e9 / (peak / 2) / 60)} minutes`;
}

function argumentsOf(flags) {
  return Object.entries(flags).flatMap(([name, value]) => [
    `--${name}`,
    typeof value === "boolean" ? (value ? "True" : "False") : String(value),
  ]);
}

/** What a user would type, in the repository. */
function commandLine(command, flags) {
  const quoted = argumentsOf(flags).map((word) =>
    /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`,
  );
  return `npx medgpt ${command} ${quoted.join(" ")}`;
}

/** Runs a command as a user would. */
function medgpt(command, flags, stdio = "inherit") {
  if (stdio === "inherit") console.log(`\n$ ${commandLine(command, flags)}\n`);
  const script = join(root, "packages/cli/bin/medgpt.js");
  const { status, stderr } = spawnSync(process.execPath, [script, command, ...argumentsOf(flags)], { stdio });
  if (status === 0) return;
  process.stderr.write(stderr ?? "");
  process.exit(status ?? 1);
}

/** What a model says to the questions. */
function answers(name, folder) {
  console.log(`\nAsking the ${name} model ${questions.length} questions`);
  const weights = adapter ? { model_name_or_path: model, adapter: folder } : { model_name_or_path: folder };
  return generated(questions, { ...weights, ...template });
}

/** What follows each prompt, in one line, at most so many tokens of it. */
async function generated(prompts, flags) {
  const [data_file, output_file] = [join(output, "prompts.txt"), join(output, "answers.jsonl")];
  await writeFile(data_file, prompts.map((prompt) => `${prompt}\n`).join(""));
  await rm(output_file, { force: true });
  medgpt("generate", { ...flags, data_file, output_file, max_new_tokens: 48 }, "pipe");
  const lines = (await readFile(output_file, "utf8")).trim().split("\n");
  return lines.map((line) => JSON.parse(line).Output.replaceAll("\n", "\\n"));
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
