/**
 * Training steps beside transformers + peft on the same weights, adapter and token ids, in turn:
 *
 *     npm run bench [NAME…] [-- --runs 2 --steps 3 --list --fresh --smoke]
 *
 * Every finished run is a line of .cache/bench/results.jsonl; a name asked for again continues where it stopped
 * (--fresh starts over). The reference is MEDGPT_SHARED/bench/hf_lora_bench.py in the full parity environment. A run
 * during which others kept more than a tenth of a core busy is made again once.
 */
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ensureVenv } from "../parity/venv.mjs";
import { root } from "../setup/setup.mjs";
import { BATCH, LENGTH, temporaryFolder, tinyModel } from "./smoke.mjs";

const ROWS = [
  { name: "bloom-560m", config: "bloom-560m", batch: 4, seq: 1024, theirs: [true] },
  { name: "qwen2.5-0.5b", config: "qwen2.5-0.5b", batch: 1, seq: 1024, theirs: [false, true] },
  { name: "llama-160m", config: "llama-160m", batch: 4, seq: 512, theirs: [false, true] },
  { name: "smollm2-135m", model: "smollm2", batch: 4, seq: 512, theirs: [false, true] },
  { name: "qwen2-5m", model: "qwen2-5m", batch: 4, seq: 512, theirs: [false, true] },
  { name: "qwen2.5-0.5b-masked", config: "qwen2.5-0.5b", batch: 4, seq: 512, mask: 0.8, theirs: [false, true] },
  { name: "llama-160m-full", config: "llama-160m", batch: 4, seq: 512, full: true, theirs: [false] },
  { name: "bloom-560m-f32", config: "bloom-560m", batch: 1, seq: 1024, dtype: "float32", theirs: [true] },
  { name: "qwen2.5-0.5b-f32", config: "qwen2.5-0.5b", batch: 1, seq: 1024, dtype: "float32", theirs: [false, true] },
  { name: "smollm2-135m-f32", model: "smollm2", batch: 4, seq: 512, dtype: "float32", theirs: [false] },
  { name: "qwen2-5m-f32", model: "qwen2-5m", batch: 4, seq: 512, dtype: "float32", theirs: [false] },
  {
    name: "qwen2.5-0.5b-masked-f32",
    config: "qwen2.5-0.5b",
    batch: 4,
    seq: 512,
    mask: 0.8,
    dtype: "float32",
    theirs: [false],
  },
  { name: "llama-160m-f32", config: "llama-160m", batch: 4, seq: 512, dtype: "float32", theirs: [false] },
  {
    name: "llama-160m-full-f32",
    config: "llama-160m",
    batch: 4,
    seq: 512,
    dtype: "float32",
    full: true,
    theirs: [false],
  },
];
/** Trained in a moment, on our side alone. */
const TINY = { name: "tiny", batch: BATCH, seq: LENGTH, mask: 0.5, theirs: [] };
const QUICK = ["llama-160m", "qwen2-5m"];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: "string", default: "2" },
    steps: { type: "string", default: "3" },
    ours: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    fresh: { type: "boolean", default: false },
    list: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const { smoke } = values;
if (values.list) {
  for (const { name } of ROWS) console.log(name);
  process.exit(0);
}
const shared = process.env.MEDGPT_SHARED ?? resolve(root, "../shared");
const folder = smoke ? temporaryFolder() : join(root, ".cache/bench");
const results = join(folder, "results.jsonl");
mkdirSync(folder, { recursive: true });
if (values.fresh) writeFileSync(results, "");
const python = smoke ? undefined : ensureVenv("full");
if (python === undefined && !smoke) throw new Error("the reference needs Python");

const names = values.quick ? QUICK : positionals.length > 0 ? positionals : ROWS.map(({ name }) => name);
if (smoke) await measure(TINY);
for (const name of smoke ? [] : names) {
  const row = ROWS.find((candidate) => candidate.name === name);
  if (row === undefined)
    throw new Error(`no row is called ${name}; there are ${ROWS.map(({ name }) => name).join(", ")}`);
  await measure(row);
}

async function measure(row) {
  const { name, batch, seq, mask = 0, full = false, dtype = "bfloat16" } = row;
  const [steps, runs] = smoke ? [2, 1] : [Number(values.steps), Number(values.runs)];
  const model = join(folder, row.model ?? row.config ?? name);
  const [adapter, tokens] = [join(folder, `${name}.adapter`), join(folder, `${name}.i32`)];
  if (smoke) await tinyModel(model, adapter, tokens);
  else prepare(row, model);
  const hf = (dropout, checkpointing, extra = {}) =>
    once(
      { name, side: "theirs", dropout, checkpointing, ...extra },
      python,
      [
        join(shared, "bench/hf_lora_bench.py"),
        ...[
          "--model-dir",
          model,
          "--adapter-dir",
          adapter,
          "--tokens-out",
          tokens,
          "--dtype",
          extra.dtype ?? dtype,
          "--batch",
          batch,
          "--seq",
          seq,
        ],
        ...["--mask", mask, "--lora-dropout", dropout, "--steps", extra.steps ?? steps, "--json"],
        ...(row.config === undefined ? [] : ["--config", row.config]),
        ...(checkpointing ? ["--grad-checkpointing"] : []),
        ...(full ? ["--full"] : []),
      ],
      extra.hugePages ? { GLIBC_TUNABLES: "glibc.malloc.hugetlb=1" } : {},
    );
  const own = (dropout, extra = {}) =>
    once({ name, side: "ours", dropout, ...extra }, process.execPath, [
      join(root, "tools/bench/ours.mjs"),
      ...[
        "--model-dir",
        model,
        "--adapter-dir",
        adapter,
        "--tokens",
        tokens,
        "--dtype",
        dtype,
        "--batch",
        batch,
        "--seq",
        seq,
      ],
      ...["--mask", mask, "--dropout", dropout, "--steps", extra.steps ?? steps],
      ...(full ? ["--full"] : []),
      ...(smoke ? ["--smoke"] : []),
    ]);

  const agreement = row.theirs.length === 0 ? "compared with nothing" : compareLosses(row, hf, own);
  const mineTimed = [];
  const theirs = row.theirs.map((checkpointing) => ({ checkpointing, samples: [] }));
  for (let run = 0; run < runs; run++) {
    mineTimed.push(own(0.05, { run }));
    if (values.ours) continue;
    for (const { checkpointing, samples } of theirs)
      for (const hugePages of [false, true]) samples.push(hf(0.05, checkpointing, { run, hugePages }));
  }
  const seconds = mineTimed.flatMap((run) => run.counted_s).sort((a, b) => a - b);
  const median = (seconds[(seconds.length - 1) >> 1] + seconds[seconds.length >> 1]) / 2;
  const rate = (batch * seq) / median;
  const memory = Math.max(...mineTimed.map(({ peak_mib }) => peak_mib));
  const peak = Math.max(...mineTimed.map(({ peak_gflops }) => peak_gflops));
  const { weights, gflop_per_token } = mineTimed[0];
  const startUp = await startUpSeconds(model, dtype);
  const share = (rate) => ((100 * rate * gflop_per_token) / peak).toFixed(1);
  console.log(
    `\n${name}: batch ${batch} x ${seq}, ${dtype}${mask ? `, ${mask * 100} % masked` : ""}${full ? ", every weight" : ""}; ${agreement}`,
  );
  console.log(
    `  N ${(weights / 1e6).toFixed(1)} M, ${gflop_per_token.toFixed(3)} GFLOP a token, peak ${peak.toFixed(0)} GFLOP/s; first kernel ${startUp.toFixed(1)} s after the process start`,
  );
  const line = (what, rate, memory, rest) =>
    console.log(
      `  ${what.padEnd(26)}${rate.toFixed(1).padStart(8)} tokens/s  ${memory.toFixed(0).padStart(7)} MiB  ${rest}`,
    );
  const best = (batch * seq) / seconds[0];
  line("ours", rate, memory, `utilisation ${share(rate)} %, in the fastest step ${share(best)} %`);
  let least = Infinity;
  for (const { checkpointing, samples } of theirs) {
    if (samples.length === 0) continue;
    const theirRate = Math.max(...samples.map(({ tokens_per_s }) => tokens_per_s));
    const theirMemory = Math.min(...samples.map(({ peak_rss_training_mib }) => peak_rss_training_mib));
    least = Math.min(least, theirMemory);
    const ratio = `ours / theirs ${(rate / theirRate).toFixed(2)}`;
    line(`theirs, ${checkpointing ? "checkpointing" : "no checkpointing"}`, theirRate, theirMemory, ratio);
  }
  if (Number.isFinite(least)) console.log(`  memory to their lowest    ${(memory / least).toFixed(2)}`);
}

/**
 * The same losses first, or the times mean nothing. Where PyTorch's bf16 run is itself further than that from its run in
 * f32, the latter is the reference.
 */
function compareLosses({ name, dtype = "bfloat16", theirs }, hf, own) {
  const farthest = (reference, of) => Math.max(...reference.loss.map((loss, step) => Math.abs(loss - of.loss[step])));
  const allowed = dtype === "float32" ? 1e-4 : 2e-2;
  // Theirs also writes the adapter and the token ids that ours reads.
  const reference = hf(0, theirs.at(-1), { steps: 1 });
  const mine = own(0, { steps: 1 });
  if (farthest(reference, mine) <= allowed)
    return `losses within ${farthest(reference, mine).toExponential(1)} of theirs`;
  const exact = hf(0, theirs.at(-1), { steps: 1, dtype: "float32" });
  const [worst, theirWorst] = [mine, reference].map((run) => farthest(exact, run));
  if (!(worst <= allowed && worst < theirWorst))
    throw new Error(`${name}: the losses differ: ours ${mine.loss}, theirs ${reference.loss}, in f32 ${exact.loss}`);
  return `losses within ${worst.toExponential(1)} of theirs in f32, and their bf16 ones within ${theirWorst.toExponential(1)}`;
}

/** Seconds from the start of `medgpt pretrain` to its first step, the model's file in the page cache. */
async function startUpSeconds(model, dtype) {
  const output = join(folder, "start-up");
  const args = [
    ...["pretrain", "--json", "--do_train", "--max_steps", 1, "--block_size", 64, "--report_to", "none"],
    ...["--model_name_or_path", model, "--cache_dir", join(folder, "start-up-cache")],
    ...["--tokenizer_name_or_path", smoke ? model : join(shared, "goldens/A_models/bloom")],
    ...["--train_file_dir", join(root, "datasets/sample/pretrain"), "--output_dir", output],
    ...["--target_modules", "all", "--torch_dtype", dtype, ...(dtype === "bfloat16" ? ["--bf16"] : [])],
  ];
  let last;
  for (let run = 0; run < (smoke ? 1 : 2); run++) {
    rmSync(output, { recursive: true, force: true });
    const start = performance.now();
    const child = spawn(process.execPath, [join(root, "packages/cli/bin/medgpt.js"), ...args.map(String)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    last = undefined;
    child.stdout.on("data", (text) => {
      if (String(text).includes('"training: ')) last ??= (performance.now() - start) / 1000;
    });
    const status = await new Promise((done) => child.on("close", done));
    if (status !== 0 || last === undefined) throw new Error(`medgpt ${args.join(" ")} ended with ${status}`);
  }
  rmSync(output, { recursive: true, force: true });
  return last;
}

/** Runs a program that prints one JSON line, unless this very run is on file. */
function once(key, program, args, env = {}) {
  const id = JSON.stringify({ ...key, args: args.filter((arg) => !String(arg).startsWith(root)).map(String) });
  const done = existsSync(results)
    ? readFileSync(results, "utf8")
        .trim()
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [];
  const found = done.find((line) => line.id === id);
  if (found !== undefined) return found.result;
  let result;
  for (let attempt = 0; attempt < (smoke ? 1 : 2) && !(result?.other_cores <= 0.1); attempt++) {
    const { status, stdout, stderr } = spawnSync(program, args.map(String), {
      env: { ...process.env, ...env },
      encoding: "utf8",
      maxBuffer: 1 << 26,
    });
    if (status !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${status}\n${stderr}`);
    const again = JSON.parse(stdout.trim().split("\n").at(-1));
    if (result === undefined || again.other_cores < result.other_cores) result = again;
  }
  appendFileSync(results, JSON.stringify({ id, at: new Date().toISOString(), result }) + "\n");
  return result;
}

/** Makes the base model where the reference script does not make it itself. */
function prepare(row, dir) {
  if (row.model === undefined || existsSync(join(dir, "config.json"))) return;
  const args =
    row.model === "smollm2"
      ? [join(shared, "models/smollm2.py"), dir]
      : [
          join(shared, "bench/make_small_model.py"),
          dir,
          join(root, "datasets/sample/pretrain/synthetic-zh.txt"),
          join(root, "datasets/sample/pretrain/synthetic-en.txt"),
          "--vocab",
          "8000",
        ];
  const { status, stderr } = spawnSync(python, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}\n${stderr}`);
}
