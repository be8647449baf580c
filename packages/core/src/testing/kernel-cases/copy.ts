import type { DType } from "../../numeric/dtype.js";
import { createRandom } from "../random.js";
import { EXACT, floats, isZero, mapped, SIZES, unset, type CaseBuffer, type KernelCase, type ViewOf } from "./case.js";

export function copyCases(): KernelCase<"copy">[] {
  const random = createRandom(2);
  // Ties of bf16 go to the even neighbour; the largest f32 becomes infinity.
  const special = [
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -1 - 2 ** -8,
    3.4028234e38,
    1 + 2 ** -8 + 2 ** -20,
  ];
  const cases: KernelCase<"copy">[] = [];
  const add = (name: string, x: CaseBuffer, dtype: DType) => {
    const count = x.data.length;
    const args = (view: ViewOf) => ({ out: view("out"), x: view("x"), count });
    cases.push({
      name: `${name} to ${dtype}`,
      buffers: { out: unset(count, dtype), x },
      args,
      outputs: { out: EXACT },
    });
  };
  for (const dtype of ["f32", "bf16"] as const) {
    for (const count of [0, ...SIZES, 1000]) {
      for (const source of ["f32", "bf16"] as const)
        add(`${isZero(count)} ${source}`, floats(random.normals(count), source), dtype);
    }
    for (const source of ["f32", "bf16", "f16"] as const)
      add(`mapped ${source}`, mapped(random.normals(70), source), dtype);
    add("special values", floats(special), dtype);
  }
  return cases;
}
