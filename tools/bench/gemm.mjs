/**
 * Matrix products x (m, k) . W^T of the native backend against the rate of its register loop, measured in the same run;
 * W is an (n, k) weight in memory and in a mapped file, or a (k, n) one for a
 * product of the backward pass, dY (m, k) . W. With --torch PYTHON, PyTorch's figures for the products with W^T follow each
 * round (MEDGPT_SHARED/bench/torch_gemm_bench.py).
 *
 *     npm run bench:gemm [-- --rounds 3 --seconds 1 --threads N --torch PYTHON --smoke]
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { createNativeBackend } from "@medgpt/core/backends";
import { peakGflops } from "@medgpt/native";

const DTYPES = [
  { name: "float32", dtype: "f32", compute: 0 },
  { name: "bfloat16", dtype: "bf16", compute: 1 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "1" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    torch: { type: "string" },
    smoke: { type: "boolean", default: false },
  },
});
const threads = Number(values.threads);
const [rounds, seconds] = values.smoke ? [1, 0] : [values.rounds, values.seconds].map(Number);
// (m, k, n), and whether W is transposed
const SHAPES = values.smoke
  ? [
      [33, 17, 20, "nt"],
      [33, 20, 17, "nn"],
    ]
  : [
      [4096, 1024, 4096, "nt"],
      [1024, 896, 4864, "nt"],
      [1024, 4864, 896, "nn"],
    ];
const shared = process.env["MEDGPT_SHARED"] ?? resolve(import.meta.dirname, "../../../shared");

/** Deterministic values in (-0.5, 0.5). */
function factors(count, dtype) {
  const f32 = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1013) / 1013 - 0.5);
  return dtype === "f32" ? f32 : Uint16Array.from(new Uint32Array(f32.buffer), (bits) => bits >>> 16);
}

const backend = createNativeBackend({ threads });
const folder = mkdtempSync(join(tmpdir(), "medgpt-gemm-"));
const samples = new Map();
const record = (key, gflops) => samples.set(key, [...(samples.get(key) ?? []), gflops]);

async function measure([m, k, n, layout], { name: dtypeName, dtype, compute }) {
  const file = join(folder, "weight");
  const bytes = factors(n * k, dtype);
  writeFileSync(file, bytes);
  const view = (buffer) => ({ buffer, offset: 0, dtype });
  const [x, weight, out] = [m * k, n * k, m * n].map((size) => view(backend.alloc(dtype, size)));
  const mapped = view(backend.map(file, 0, dtype, n * k));
  backend.write(x, factors(m * k, dtype));
  backend.write(weight, bytes);
  const flop = 2 * m * k * n;
  const repeats = values.smoke ? 1 : Math.max(1, Math.round(1e10 / flop));
  const bTrans = layout === "nt";
  const shape = `${m}x${k}x${n} ${layout} ${dtypeName}`;
  const until = performance.now() + seconds * 1000;
  do {
    record(`${shape} peak`, await peakGflops(compute === 1, threads, 30));
    for (const [name, b] of [
      ["memory", weight],
      ["mapped", mapped],
    ]) {
      const terms = [{ a: x, lda: k, aTrans: false, b, ldb: bTrans ? k : n, bTrans, k, scale: 1 }];
      const start = performance.now();
      for (let i = 0; i < repeats; i++) backend.kernels.matMul({ out, ldc: n, m, n, accumulate: 0, compute, terms });
      await backend.sync();
      record(`${shape} ${name}`, (flop * repeats) / (performance.now() - start) / 1e6);
    }
  } while (performance.now() < until);
  for (const { buffer } of [x, weight, mapped, out]) backend.free(buffer);
  await backend.sync();
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

console.log(backend.description);
try {
  for (let round = 0; round < rounds; round++) {
    for (const shape of SHAPES) for (const dtype of DTYPES) await measure(shape, dtype);
    if (values.torch !== undefined) await measureTorch(values.torch);
  }
} finally {
  rmSync(folder, { recursive: true });
  await backend.dispose();
}
for (const [key, rates] of samples) {
  const sorted = rates.toSorted((a, b) => a - b);
  const best = sorted.at(-1);
  const peak = Math.max(...samples.get(key.replace(/ \w+$/, " peak")));
  const share = key.endsWith("peak") ? "" : `, ${((100 * best) / peak).toFixed(1)} % of the peak`;
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(`${key.padEnd(36)} median ${median.toFixed(1)}, best ${best.toFixed(1)} GFLOP/s${share}`);
}
