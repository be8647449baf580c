import { createRandom } from "../random.js";
import { close, floats, SHAPES, type KernelCase, type ViewOf } from "./case.js";

export function sumRowsCases(): KernelCase<"sumRows">[] {
  const random = createRandom(7);
  return [...SHAPES, [600, 5] as const].flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((dtype) => ({
      name: `(${rows}, ${cols}) ${dtype}`,
      buffers: { out: floats(random.normals(cols)), x: floats(random.normals(rows * cols), dtype) },
      args: (view: ViewOf) => ({ out: view("out"), x: view("x"), rows, cols }),
      outputs: { out: close("f32", 2e-5) },
    })),
  );
}
