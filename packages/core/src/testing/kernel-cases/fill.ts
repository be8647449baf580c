import { EXACT, ints, isZero, SIZES, unset, type KernelCase } from "./case.js";

export function fillCases(): KernelCase<"fill">[] {
  const counts = [0, ...SIZES, 1000];
  const values = [0, 1.5, -3, NaN, Infinity, 1e-3];
  return (["f32", "bf16", "i32"] as const).flatMap((dtype) =>
    counts.map((count, i): KernelCase<"fill"> => {
      const value = dtype === "i32" ? i - 3 : values[i % values.length]!;
      return {
        name: `${isZero(count)} ${dtype} with ${value}`,
        buffers: { out: dtype === "i32" ? ints(new Int32Array(count)) : unset(count, dtype) },
        args: (view) => ({ out: view("out"), count, value }),
        outputs: { out: EXACT },
      };
    }),
  );
}
