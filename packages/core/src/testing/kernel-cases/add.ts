import { createRandom } from "../random.js";
import { close, EXACT, floats, isZero, unset, type KernelCase } from "./case.js";

export function addCases(): KernelCase<"add">[] {
  const random = createRandom(3);
  const cases: KernelCase<"add">[] = [];
  for (const out of ["f32", "bf16"] as const) {
    for (const a of ["f32", "bf16"] as const) {
      for (const b of ["f32", "bf16"] as const) {
        for (const count of [0, 1, 17, 100, 1000]) {
          const [alpha, beta] = [random.normal(), random.normal()];
          cases.push({
            name: `${isZero(count)} ${a} and ${b} to ${out}`,
            buffers: {
              out: unset(count, out),
              a: floats(random.normals(count), a),
              b: floats(random.normals(count), b),
            },
            args: (view) => ({ out: view("out"), a: view("a"), b: view("b"), count, alpha, beta }),
            outputs: { out: close(out, 1e-6) },
          });
        }
      }
    }
    cases.push({
      name: `in place of the first, ${out}`,
      buffers: { a: floats(random.normals(33), out), b: floats(random.normals(33), "f32") },
      args: (view) => ({ out: view("a"), a: view("a"), b: view("b"), count: 33, alpha: 1, beta: -2 }),
      outputs: { a: close(out, 1e-6) },
    });
    cases.push({
      name: `in place of the second, ${out}`,
      buffers: { a: floats(random.normals(33), "f32"), b: floats(random.normals(33), out) },
      args: (view) => ({ out: view("b"), a: view("a"), b: view("b"), count: 33, alpha: 0.5, beta: 1 }),
      outputs: { b: close(out, 1e-6) },
    });
  }
  cases.push({
    name: "NaN and infinities",
    buffers: {
      out: unset(5),
      a: floats([NaN, Infinity, Infinity, 1, 2]),
      b: floats([1, 1, -Infinity, -Infinity, NaN]),
    },
    args: (view) => ({ out: view("out"), a: view("a"), b: view("b"), count: 5, alpha: 1, beta: 1 }),
    outputs: { out: EXACT },
  });
  return cases;
}
