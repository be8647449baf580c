/**
 * Matrix products x (m, k) . W^T of the native backend against the rate of its register loop, measured in the same run;
 * W is an (n, k) weight in memory and in a mapped file, or a (k, n) one for a
 * product of the backward pass, dY (m, k) . W. With --torch PYTHON, PyTorch's figures for the products with W^T follow each
 * round (MEDGPT_SHARED/bench/torch_gemm_bench.py).
 *
 *     node tools/bench/gemm.mjs [--rounds 3] [--seconds 1] [--threads N] [--torch PYTHON]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Engine, peakGflops } from "../../packages/native/index.js";

const SHAPES = [
  [4096, 1024, 4096, "nt"],
  [1024, 896, 4864, "nt"],
  [1024, 4864, 896, "nn"],
]; // (m, k, n), and whether W is transposed
const DTYPES = [
  { name: "float32", index: 0, size: 4, compute: 0 },
  { name: "bfloat16", index: 1, size: 2, compute: 1 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    torch: { type: "string" },
  },
});
const [rounds, seconds, threads] = [values.rounds, values.seconds, values.threads].map(Number);
const shared = process.env["MEDGPT_SHARED"] ?? resolve(import.meta.dirname, "../../../shared");

/** Deterministic values in (-0.5, 0.5), as bytes. */
function factors(count, dtype) {
  const f32 = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);
  if (dtype.size === 4) return new Uint8Array(f32.buffer);
  const bits = new Uint32Array(f32.buffer);
  return new Uint8Array(Uint16Array.from(bits, (b) => b >>> 16).buffer);
}

const engine = new Engine(threads);
const matMul = engine.kernelTable().findIndex((line) => line.startsWith("matMul:"));
const folder = mkdtempSync(join(tmpdir(), "medgpt-gemm-"));
const samples = new Map();
const record = (key, gflops) => samples.set(key, [...(samples.get(key) ?? []), gflops]);

async function measure([m, k, n, layout], dtype) {
  const [x, weight, mapped, out] = [1, 2, 3, 4];
  const file = join(folder, "weight");
  const bytes = factors(n * k, dtype);
  writeFileSync(file, bytes);
  engine.alloc(x, dtype.index, m * k);
  engine.alloc(weight, dtype.index, n * k);
  engine.alloc(out, dtype.index, m * n);
  engine.map(mapped, file, 0, dtype.index, n * k);
  engine.write(x, 0, factors(m * k, dtype));
  engine.write(weight, 0, bytes);
  const flop = 2 * m * k * n;
  const repeats = Math.max(1, Math.round(1e10 / flop));
  const transposed = layout === "nt" ? 1 : 0;
  const shape = `${m}x${k}x${n} ${layout} ${dtype.name}`;
  for (const until = performance.now() + seconds * 1000; performance.now() < until;) {
    record(`${shape} peak`, await peakGflops(dtype.compute === 1, threads, 30));
    for (const [name, b] of [
      ["memory", weight],
      ["mapped", mapped],
    ]) {
      // out, ldc, m, n, no bias, accumulate, compute, one term: a, lda, aTrans, b, ldb, bTrans, k, scale
      const term = [x, 0, k, 0, b, 0, transposed ? k : n, transposed, k, 1];
      const words = [matMul, out, 0, n, m, n, 0, 0, 0, dtype.compute, 1, ...term];
      const start = performance.now();
      for (let i = 0; i < repeats; i++) engine.enqueue(Float64Array.from(words), words.length);
      await engine.sync();
      record(`${shape} ${name}`, (flop * repeats) / (performance.now() - start) / 1e6);
    }
  }
  for (const id of [x, weight, mapped, out]) engine.free(id);
  await engine.sync();
}

/** Reads PyTorch's figures for SHAPES, which its script prints first, and then stops it. */
async function measureTorch(python) {
  const script = join(shared, "bench/torch_gemm_bench.py");
  const args = [script, "--threads", String(threads), "--seconds", String(seconds), "--json"];
  const child = spawn(python, args, { stdio: ["ignore", "pipe", "inherit"] });
  const closed = new Promise((done, fail) => child.on("error", fail).on("close", done));
  const shapes = SHAPES.filter((s) => s[3] === "nt").map((s) => s.slice(0, 3).join());
  let expected = shapes.length * DTYPES.length;
  for await (const line of createInterface({ input: child.stdout })) {
    const row = JSON.parse(line);
    if (row.layout !== "nt" || !shapes.includes([row.m, row.k, row.n].join())) continue;
    for (const value of [row.gflops_median, row.gflops_best])
      record(`${row.m}x${row.k}x${row.n} nt ${row.dtype} torch`, value);
    if (--expected === 0) break;
  }
  child.kill();
  await closed;
  if (expected > 0) throw new Error(`${script} did not print the products of ${shapes.join(", ")}`);
}

console.log(engine.description());
try {
  for (let round = 0; round < rounds; round++) {
    for (const shape of SHAPES) for (const dtype of DTYPES) await measure(shape, dtype);
    if (values.torch !== undefined) await measureTorch(values.torch);
  }
} finally {
  rmSync(folder, { recursive: true });
  await engine.dispose();
}
for (const [key, rates] of samples) {
  const sorted = rates.toSorted((a, b) => a - b);
  const best = sorted.at(-1);
  const peak = Math.max(...samples.get(key.replace(/ \w+$/, " peak")));
  const share = key.endsWith("peak") ? "" : `, ${((100 * best) / peak).toFixed(1)} % of the peak`;
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`${key.padEnd(36)} median ${median.toFixed(1)}, best ${best.toFixed(1)} GFLOP/s${share}`);
}
