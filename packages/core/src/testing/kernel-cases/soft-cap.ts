import type { DType } from "../../numeric/dtype.js";
import { createRandom } from "../random.js";
import { close, floats, isZero, unset, type CaseBuffer, type KernelCase } from "./case.js";

export function softCapCases(): KernelCase<"softCap">[] {
  const random = createRandom(30);
  const cap = (name: string, x: CaseBuffer, out: DType, cap: number): KernelCase<"softCap"> => ({
    name: `${name} ${x.dtype} to ${out}, cap ${cap}`,
    buffers: { out: unset(x.data.length, out), x },
    args: (view) => ({ out: view("out"), x: view("x"), count: x.data.length, cap }),
    outputs: { out: close(out, 1e-6) },
  });
  return [
    ...(["f32", "bf16"] as const).flatMap((out) =>
      [0, 1, 17, 100, 1000].flatMap((count) => [
        cap(isZero(count), floats(random.normals(count), "f32"), out, 0.7),
        cap(isZero(count), floats(random.normals(count), "bf16"), out, 30),
      ]),
    ),
    cap("saturating and special", floats([1e30, -1e30, Infinity, -Infinity, NaN, 0]), "f32", 50),
    {
      name: "in place",
      buffers: { x: floats(random.normals(33)) },
      args: (view) => ({ out: view("x"), x: view("x"), count: 33, cap: 2 }),
      outputs: { x: close("f32", 1e-6) },
    },
  ];
}
