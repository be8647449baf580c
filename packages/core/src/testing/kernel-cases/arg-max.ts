import { createRandom } from "../random.js";
import { EXACT, floats, ints, SHAPES, type CaseBuffer, type KernelCase } from "./case.js";

export function argMaxCases(): KernelCase<"argMax">[] {
  const random = createRandom(29);
  const argMax = (name: string, rows: number, x: CaseBuffer): KernelCase<"argMax"> => ({
    name,
    buffers: { out: ints(new Array<number>(rows).fill(-1)), x },
    args: (view) => ({ out: view("out"), x: view("x"), rows, cols: x.data.length / Math.max(1, rows) || 1 }),
    outputs: { out: EXACT },
  });
  const of = (...values: number[]) => argMax(values.join(" "), 1, floats(values));
  const long = (...places: number[]) => {
    const data = new Float32Array(70_000).fill(-3);
    for (const place of places) data[place] = 7;
    return argMax(`largest at ${places.join(" and ")}`, 1, floats(data));
  };
  return [
    ...[...SHAPES, [3, 70_001] as const].flatMap(([rows, cols]) =>
      // Numbers in bf16 are often equal.
      (["f32", "bf16"] as const).map((dtype) =>
        argMax(`(${rows}, ${cols}) ${dtype}`, rows, floats(random.normals(rows * cols), dtype)),
      ),
    ),
    ...[
      of(2, 5, 5, 1),
      of(NaN, 1, 2),
      of(1, NaN, 2, NaN),
      of(-Infinity, -Infinity),
      of(-Infinity, -1),
      of(1, Infinity),
    ],
    ...[long(32_767, 32_768), long(69_999), long(40_000, 65_536), long()],
  ];
}
