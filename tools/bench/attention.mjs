/**
 * Causal attention and its gradient of the native backend against the rate of its register loop, measured in the same
 * run. Half of each square of scores is masked and counts for nothing: 2 and 5 products of T * T / 2 scores a head.
 *
 *     npm run bench:attention [-- --rounds 3 --seconds 0.5 --threads N --smoke]
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createNativeBackend } from "@medgpt/core/backends";
import { peakGflops } from "@medgpt/native";

const SHAPES = [
  { name: "4 segments, 16 heads", segments: 4, heads: 16, kvHeads: 16 },
  { name: "4 segments, 16 heads, packed q k v and slopes", segments: 4, heads: 16, kvHeads: 16, packed: true },
  { name: "1 segment, 14 heads of 2 kv heads", segments: 1, heads: 14, kvHeads: 2 },
];
const HEAD_SIZES = [64, 128];
const DTYPES = [
  { name: "float32", dtype: "f32", compute: 0 },
  { name: "bfloat16", dtype: "bf16", compute: 1 },
];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "0.5" },
    threads: { type: "string", default: String(Math.min(2, availableParallelism())) },
    smoke: { type: "boolean", default: false },
  },
});
const threads = Number(values.threads);
const [rounds, seconds, length] = values.smoke ? [1, 0, 16] : [Number(values.rounds), Number(values.seconds), 1024];

/** Deterministic values in (-1, 1). */
function random(count, dtype) {
  const f32 = Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 10_007) / 5003.5 - 1);
  return dtype === "f32" ? f32 : Uint16Array.from(new Uint32Array(f32.buffer), (bits) => bits >>> 16);
}

const backend = createNativeBackend({ threads });
const samples = new Map();
const record = (key, gflops) => samples.set(key, [...(samples.get(key) ?? []), gflops]);

async function measure(
  { name, segments: segmentCount, heads, kvHeads, packed },
  dim,
  { name: dtypeName, dtype, compute },
) {
  const rows = segmentCount * length;
  const size = rows * heads * dim;
  const buffers = [];
  const make = (type, values) => {
    const view = { buffer: backend.alloc(type, values.length), offset: 0, dtype: type };
    buffers.push(view.buffer);
    backend.write(view, values);
    return view;
  };
  const filled = (count) => make(dtype, random(count, dtype));
  // q, k and v, or their gradients; side by side, head by head, where they are packed.
  const parts = () => {
    if (!packed) return [size, rows * kvHeads * dim, rows * kvHeads * dim].map(filled);
    const all = filled(3 * size);
    return [0, dim, 2 * dim].map((offset) => ({ ...all, offset }));
  };
  const [[q, k, v], [dq, dk, dv]] = [parts(), parts()];
  const [out, dOut] = [filled(size), filled(size)];
  const lse = make("f32", new Float32Array(heads * rows));
  const segments = make(
    "i32",
    Int32Array.from({ length: segmentCount + 1 }, (_, i) => i * length),
  );
  const slopes = packed
    ? make(
        "f32",
        Float32Array.from({ length: heads }, (_, i) => 0.5 ** (i / 2 + 0.5)),
      )
    : undefined;
  const [stride, head] = packed ? [heads * 3 * dim, 3 * dim] : [heads * dim, dim];
  const kvStride = packed ? stride : kvHeads * dim;
  const inputs = {
    ...{ out, lse, q, k, v, segments, slopes, segmentCount, rows, heads, kvHeads, dim },
    ...{ qStride: stride, qHead: head, kStride: kvStride, kHead: head, vStride: kvStride, vHead: head },
    ...{ scale: 1 / Math.sqrt(dim), softCap: 0, window: 0, compute },
  };
  const passes = [
    ["forward", 2, () => backend.kernels.attention(inputs)],
    ["backward", 5, () => backend.kernels.attentionBackward({ ...inputs, dq, dk, dv, dOut })],
  ];
  const shape = `${name}, size ${dim}, ${dtypeName}`;
  const until = performance.now() + seconds * 1000;
  do {
    record(`${shape} peak`, await peakGflops(compute === 1, threads, 20));
    for (const [pass, products, call] of passes) {
      const flop = products * rows * length * heads * dim;
      const repeats = values.smoke ? 1 : Math.max(1, Math.round(3e9 / flop));
      const start = performance.now();
      for (let i = 0; i < repeats; i++) call();
      await backend.sync();
      record(`${shape} ${pass}`, (flop * repeats) / (performance.now() - start) / 1e6);
    }
  } while (performance.now() < until);
  for (const buffer of buffers) backend.free(buffer);
  await backend.sync();
}

console.log(backend.description);
for (let round = 0; round < rounds; round++) {
  for (const shape of SHAPES)
    for (const dim of HEAD_SIZES) for (const dtype of DTYPES) await measure(shape, dim, dtype);
}
await backend.dispose();
for (const [key, rates] of samples) {
  const sorted = rates.toSorted((a, b) => a - b);
  const [median, best] = [sorted[Math.floor(sorted.length / 2)], sorted.at(-1)];
  const dtype = DTYPES.find(({ name }) => key.includes(name)).name;
  const peak = Math.max(...[...samples].filter(([other]) => other.endsWith(`${dtype} peak`)).flatMap(([, all]) => all));
  const share = (rate) => (key.endsWith("peak") ? "" : ` (${((100 * rate) / peak).toFixed(0)} %)`);
  const figures = `median ${median.toFixed(0)}${share(median)}, best ${best.toFixed(0)}${share(best)} GFLOP/s`;
  console.log(`${key.padEnd(84)} ${figures}`);
}
