import { createRandom } from "../random.js";
import { close, EXACT, floats, isZero, unset, type KernelCase } from "./case.js";

export function scaleCases(): KernelCase<"scale">[] {
  const random = createRandom(4);
  const cases: KernelCase<"scale">[] = [];
  for (const out of ["f32", "bf16"] as const) {
    for (const x of ["f32", "bf16"] as const) {
      for (const count of [0, 1, 13, 64, 1000]) {
        for (const xStride of [0, 1]) {
          const withScalar = (count + xStride) % 2 === 0;
          const scalar = withScalar ? { scalar: floats([random.normal()]) } : {};
          cases.push({
            name: `${isZero(count)} ${x} to ${out}, stride ${xStride}${withScalar ? ", scalar" : ""}`,
            buffers: { out: unset(count, out), x: floats(random.normals(xStride === 0 ? 1 : count), x), ...scalar },
            args: (view) => ({
              out: view("out"),
              x: view("x"),
              xStride,
              scalar: withScalar ? view("scalar") : undefined,
              count,
              factor: -1.7,
            }),
            outputs: { out: close(out, 1e-6) },
          });
        }
      }
    }
  }
  cases.push({
    name: "in place, with NaN and infinities",
    buffers: { x: floats([NaN, Infinity, -Infinity, 2, 0]), scalar: floats([0.25]) },
    args: (view) => ({ out: view("x"), x: view("x"), xStride: 1, scalar: view("scalar"), count: 5, factor: 4 }),
    outputs: { x: EXACT },
  });
  return cases;
}
