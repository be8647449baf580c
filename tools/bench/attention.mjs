/**
 * Causal attention and its gradient of the native backend against the rate of its register loop, measured in the same
 * run. Half of each square of scores is masked and counts for nothing: 2 and 5 products of T * T / 2 scores a head.
 *
 *     node tools/bench/attention.mjs [--rounds 3] [--seconds 0.5] [--threads N]
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Engine, peakGflops } from "../../packages/native/index.js";

const LENGTH = 1024;
const SHAPES = [
  { name: "4 segments, 16 heads", segments: 4, heads: 16, kvHeads: 16 },
  { name: "4 segments, 16 heads, packed q k v and slopes", segments: 4, heads: 16, kvHeads: 16, packed: true },
  { name: "1 segment, 14 heads of 2 kv heads", segments: 1, heads: 14, kvHeads: 2 },
];
const HEAD_SIZES = [64, 128];
const DTYPES = [
  { name: "float32", index: 0, size: 4, compute: 0 },
  { name: "bfloat16", index: 1, size: 2, compute: 1 },
];
const INT32 = 3;

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "0.5" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});
const [rounds, seconds, threads] = [values.rounds, values.seconds, values.threads].map(Number);

/** Deterministic values in (-1, 1), as bytes. */
function random(count, dtype) {
  const f32 = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 10_007) / 5003.5 - 1);
  if (dtype.size === 4) return new Uint8Array(f32.buffer);
  const bits = new Uint32Array(f32.buffer);
  return new Uint8Array(Uint16Array.from(bits, (b) => b >>> 16).buffer);
}

const engine = new Engine(threads);
const kernel = (name) => engine.kernelTable().findIndex((line) => line.startsWith(`${name}:`));
const [attention, attentionBackward] = [kernel("attention"), kernel("attentionBackward")];
const samples = new Map();
const record = (key, gflops) => samples.set(key, [...(samples.get(key) ?? []), gflops]);

async function measure({ name, segments, heads, kvHeads, packed }, dim, dtype) {
  const rows = segments * LENGTH;
  const [q, k, v, dq, dk, dv, out, dOut, lse, offsets, slopes] = Array.from({ length: 11 }, (_, i) => i + 1);
  const size = rows * heads * dim;
  const qSize = packed ? 3 * size : size;
  const kvSize = packed ? 0 : rows * kvHeads * dim;
  for (const [id, count] of [
    [q, qSize],
    [k, kvSize],
    [v, kvSize],
    [dq, qSize],
    [dk, kvSize],
    [dv, kvSize],
    [out, size],
    [dOut, size],
  ]) {
    engine.alloc(id, dtype.index, count);
    if (count > 0) engine.write(id, 0, random(count, dtype));
  }
  engine.alloc(lse, 0, heads * rows);
  engine.alloc(offsets, INT32, segments + 1);
  engine.write(offsets, 0, new Uint8Array(Int32Array.from({ length: segments + 1 }, (_, i) => i * LENGTH).buffer));
  engine.alloc(slopes, 0, heads);
  engine.write(slopes, 0, new Uint8Array(Float32Array.from({ length: heads }, (_, i) => 0.5 ** (i / 2 + 0.5)).buffer));
  // Views are (buffer, first element); q, k and v lie side by side head by head where they are packed.
  const views = (a, b, c) => (packed ? [a, 0, a, dim, a, 2 * dim] : [a, 0, b, 0, c, 0]);
  const strides = packed
    ? Array.from({ length: 3 }, () => [heads * 3 * dim, 3 * dim]).flat()
    : [heads * dim, dim, kvHeads * dim, dim, kvHeads * dim, dim];
  const extents = [segments, rows, heads, kvHeads, dim, ...strides, 1 / Math.sqrt(dim), 0, 0, dtype.compute];
  const inputs = [...views(q, k, v), offsets, 0, packed ? slopes : 0, 0, ...extents];
  const calls = [
    ["forward", 2, [attention, out, 0, lse, 0, ...inputs]],
    ["backward", 5, [attentionBackward, ...views(dq, dk, dv), dOut, 0, out, 0, lse, 0, ...inputs]],
  ];
  const shape = `${name}, size ${dim}, ${dtype.name}`;
  for (const until = performance.now() + seconds * 1000; performance.now() < until;) {
    record(`${shape} peak`, await peakGflops(dtype.compute === 1, threads, 20));
    for (const [pass, products, words] of calls) {
      const flop = products * rows * LENGTH * heads * dim;
      const repeats = Math.max(1, Math.round(3e9 / flop));
      const start = performance.now();
      for (let i = 0; i < repeats; i++) engine.enqueue(Float64Array.from(words), words.length);
      await engine.sync();
      record(`${shape} ${pass}`, (flop * repeats) / (performance.now() - start) / 1e6);
    }
  }
  for (const id of [q, k, v, dq, dk, dv, out, dOut, lse, offsets, slopes]) engine.free(id);
  await engine.sync();
}

console.log(engine.description());
for (let round = 0; round < rounds; round++) {
  for (const shape of SHAPES)
    for (const dim of HEAD_SIZES) for (const dtype of DTYPES) await measure(shape, dim, dtype);
}
await engine.dispose();
for (const [key, rates] of samples) {
  const sorted = rates.toSorted((a, b) => a - b);
  const [median, best] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const dtype = DTYPES.find(({ name }) => key.includes(name)).name;
  const peak = Math.max(...[...samples].filter(([other]) => other.endsWith(`${dtype} peak`)).flatMap(([, all]) => all));
  const share = (rate) => (key.endsWith("peak") ? "" : ` (${((100 * rate) / peak).toFixed(0)} %)`);
  const figures = `median ${median.toFixed(0)}${share(median)}, best ${best.toFixed(0)}${share(best)} GFLOP/s`;
  console.log(`${key.padEnd(84)} ${figures}`);
}
