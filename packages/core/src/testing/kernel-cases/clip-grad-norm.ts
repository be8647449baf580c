import { createRandom } from "../random.js";
import { floats, isZero, SIZES, unset, type CaseBuffer, type KernelCase } from "./case.js";

export function clipGradNormCases(): KernelCase<"clipGradNorm">[] {
  const random = createRandom(25);
  const clip = (name: string, grads: CaseBuffer, maxNorm: number): KernelCase<"clipGradNorm"> => ({
    name: `${name}, at most ${maxNorm}`,
    buffers: { out: unset(2), grads },
    args: (view) => ({ out: view("out"), grads: view("grads"), count: grads.data.length, maxNorm }),
    outputs: { out: { absolute: 1e-9, relative: 2e-7 } }, // summed in f64
  });
  return [
    ...[0, ...SIZES, 65_536, 131_075].flatMap((count) =>
      [0, 1, 1e6].map((maxNorm) => clip(`${isZero(count)} gradients`, floats(random.normals(count)), maxNorm)),
    ),
    clip("squares beyond f32", floats([1e30, 2e30]), 1),
    clip("a NaN", floats([1, NaN]), 1),
    clip("an infinity", floats([1, Infinity]), 1),
  ];
}
