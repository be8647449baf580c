/**
 * One run of our side of the benchmark: trains on given token ids from a given base and adapter, and prints one JSON line
 * as hf_lora_bench.py does. Run by bench.mjs in a process of its own, so that its memory is its own.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { parseArgs } from "node:util";
import { createNativeBackend, profileSummary } from "@medgpt/core/backends";
import { collate, labelCount } from "@medgpt/core/data";
import { openBase, tokenLoss, trainedLm, WholeWeights } from "@medgpt/core/models";
import { openAdapter } from "@medgpt/core/nn";
import { trainRows } from "@medgpt/core/training";
import { peakGflops } from "@medgpt/native";

const { values } = parseArgs({
  options: {
    "model-dir": { type: "string" },
    "adapter-dir": { type: "string" },
    tokens: { type: "string" },
    /** In place of tokens, batch and seq: JSON, [{ ids, labels }, …] a row, rows a micro-batch, micro-batches a run. */
    batches: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    batch: { type: "string" },
    seq: { type: "string" },
    steps: { type: "string", default: "3" },
    warmup: { type: "string", default: "1" },
    mask: { type: "string", default: "0" },
    dropout: { type: "string", default: "0" },
    "grad-checkpointing": { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
  },
});
const [batch, seq, steps, warmup, mask, p] = ["batch", "seq", "steps", "warmup", "mask", "dropout"].map((name) =>
  Number(values[name]),
);
const threads = Math.min(2, availableParallelism());
const peakMs = values.smoke ? 20 : 500;
const bf16 = values.dtype === "bfloat16";
const status = (key) =>
  Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024;

/** Seconds that all cores and this process were busy so far, or taken from this machine by others. */
function cpuSeconds() {
  const [user, nice, system, , , ...rest] = readFileSync("/proc/stat", "utf8")
    .split("\n")[0]
    .split(/\s+/)
    .slice(1)
    .map(Number);
  const own = process.cpuUsage();
  return {
    all: [user, nice, system, ...rest.slice(0, 3)].reduce((a, b) => a + b) / 100,
    own: (own.user + own.system) / 1e6,
  };
}

// Before and after, the higher: a neighbour may take part of the machine during one of them.
const peaks = [await peakGflops(bf16, threads, peakMs)];
const backend = createNativeBackend({ threads });
const base = await openBase(values["model-dir"], { backend, compute: bf16 ? "bf16" : "f32" });
const { model, arena } = trainedLm(
  base,
  values.full ? new WholeWeights(base) : await openAdapter(base, values["adapter-dir"]),
);
await backend.sync();
const rows = values.batches === undefined ? fixedRows() : JSON.parse(readFileSync(values.batches, "utf8"));
const makeBatch = (indices) =>
  collate(
    indices
      .flatMap((index) => rows[index])
      .map(({ ids, labels }) => ({ ids: Int32Array.from(ids), labels: Int32Array.from(labels) })),
  );

/** Rows of seq tokens of which the first are masked. */
function fixedRows() {
  const bytes = readFileSync(values.tokens);
  const ids = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  return Array.from({ length: ids.length / seq }, (_, row) => {
    const part = ids.subarray(row * seq, (row + 1) * seq);
    return [{ ids: part, labels: part.map((id, t) => (t < Math.floor(mask * seq) ? -100 : id)) }];
  });
}

// The peak of training alone counts, as on the other side.
writeFileSync("/proc/self/clear_refs", "5");
const seconds = [];
const losses = [];
let previous = performance.now();
let busy;
let other = 0;
await trainRows(
  {
    arena,
    rows: rows.length,
    batch: (indices) => makeBatch(indices),
    loss: (micro, draw) =>
      tokenLoss(model, micro, {
        recomputedLayers: values["grad-checkpointing"] ? model.options.layers : 0,
        dropout: p > 0 && !values.full ? { ...draw, p } : undefined,
      }).nll,
    saveModel: () => Promise.resolve(),
    loadModel: () => Promise.resolve(),
    weight: labelCount,
    computeParameters: 0,
  },
  {
    ...{ output_dir: tmpdir(), resume_from_checkpoint: null, num_train_epochs: 1, max_steps: warmup + steps },
    ...{ per_device_train_batch_size: batch, gradient_accumulation_steps: 1, seed: 42, data_seed: null },
    ...{
      train_sampling_strategy: "sequential",
      learning_rate: 2e-4,
      lr_scheduler_type: "constant",
      lr_scheduler_kwargs: null,
    },
    ...{
      warmup_steps: 0,
      warmup_ratio: 0,
      weight_decay: 0.01,
      adam_beta1: 0.9,
      adam_beta2: 0.999,
      adam_epsilon: 1e-8,
      max_grad_norm: 1,
    },
    ...{
      logging_strategy: "no",
      logging_steps: 1,
      logging_first_step: false,
      eval_strategy: "no",
      eval_steps: null,
      eval_on_start: false,
    },
    ...{ save_strategy: "no", save_steps: 1, save_total_limit: null, save_only_model: false },
    ...{ load_best_model_at_end: false, metric_for_best_model: null, greater_is_better: null },
  },
  {
    log: (event) => {
      if (event.type !== "step") return;
      const now = performance.now();
      seconds.push((now - previous) / 1000);
      losses.push(event.loss);
      if (seconds.length === warmup) busy = cpuSeconds();
      if (seconds.length === warmup + steps) {
        const { all, own } = cpuSeconds();
        other = (all - busy.all - (own - busy.own)) / seconds.slice(warmup).reduce((a, b) => a + b, 0);
      }
      if (values.profile) console.error(profileSummary(backend.profile(true), peaks[0]));
      previous = performance.now();
    },
  },
);

const { options } = model;
const linears = base.parameterCount - options.vocabSize * options.hiddenSize * (options.tieWordEmbeddings ? 1 : 2);
const labelled = labelCount(makeBatch(Array.from({ length: batch }, (_, index) => index))) / (batch * seq);
const weights = linears + labelled * options.vocabSize * options.hiddenSize;
const flopsPerToken = (values.full ? 6 : 4) * weights + 7 * seq * options.heads * options.headDim * options.layers;
const counted = seconds.slice(warmup).sort((a, b) => a - b);
const median = counted[Math.floor(counted.length / 2)];
const tokensPerSecond = (batch * seq) / median;
peaks.push(await peakGflops(bf16, threads, peakMs));
const peak = Math.max(...peaks);
console.log(
  JSON.stringify({
    tokens_per_s: tokensPerSecond,
    step_s: median,
    steps_s: seconds,
    counted_s: counted,
    other_cores: other,
    loss: losses,
    peak_mib: status("VmHWM") / 2 ** 20,
    buffers_mib: backend.memory().peakBytes / 2 ** 20,
    weights,
    gflop_per_token: flopsPerToken / 1e9,
    peak_gflops: peak,
    utilisation: (tokensPerSecond * flopsPerToken) / 1e9 / peak,
  }),
);
await backend.dispose();
