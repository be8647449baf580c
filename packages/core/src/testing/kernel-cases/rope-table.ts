import { createRandom } from "../random.js";
import { close, floats, ints, unset, type KernelCase } from "./case.js";

function inverseFrequencies(half: number): Float32Array {
  return Float32Array.from({ length: half }, (_, j) => 10_000 ** (-j / half));
}

export function ropeTableCases(): KernelCase<"ropeTable">[] {
  const random = createRandom(16);
  return (
    [
      [0, 4],
      [1, 1],
      [3, 7],
      [17, 32],
      [100, 3],
      [33, 64],
    ] as const
  ).map(([rows, half]): KernelCase<"ropeTable"> => ({
    name: `(${rows}, 2 * ${half})`,
    buffers: {
      out: unset(rows * 2 * half),
      positions: ints(Array.from({ length: rows }, (_, r) => (r % 2 === 0 ? r : random.below(100_000)))),
      invFreq: floats(inverseFrequencies(half)),
    },
    args: (view) => ({
      out: view("out"),
      positions: view("positions"),
      invFreq: view("invFreq"),
      rows,
      half,
      factor: rows === 3 ? 1.25 : 1,
    }),
    outputs: { out: close("f32", 1e-6, 1e-6) },
  }));
}
