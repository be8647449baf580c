import { createRandom } from "../random.js";
import { floats, isZero, SIZES, unset, type CaseBuffer, type KernelCase } from "./case.js";

export function sumCases(): KernelCase<"sum">[] {
  const random = createRandom(6);
  const sum = (name: string, x: CaseBuffer): KernelCase<"sum"> => ({
    name,
    buffers: { out: unset(1), x },
    args: (view) => ({ out: view("out"), x: view("x"), count: x.data.length, factor: 0.37 }),
    outputs: { out: { absolute: 1e-9, relative: 2e-7 } }, // summed in f64: one rounding to f32
  });
  return [
    ...(["f32", "bf16"] as const).flatMap((dtype) =>
      [0, ...SIZES, 65_536, 131_075].map((count) =>
        sum(`${isZero(count)} ${dtype}`, floats(random.normals(count), dtype)),
      ),
    ),
    sum("large numbers that cancel", floats([2 ** 24, 1, 1, 1, -(2 ** 24)])),
    sum("NaN", floats([1, NaN, 2])),
    sum("infinity", floats([1, Infinity, 2])),
  ];
}
