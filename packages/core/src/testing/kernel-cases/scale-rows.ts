import { createRandom } from "../random.js";
import { close, floats, SHAPES, unset, type KernelCase } from "./case.js";

export function scaleRowsCases(): KernelCase<"scaleRows">[] {
  const random = createRandom(5);
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((out, i): KernelCase<"scaleRows"> => {
      const x = (rows + i) % 2 === 0 ? "f32" : "bf16";
      return {
        name: `(${rows}, ${cols}) ${x} to ${out}`,
        buffers: {
          out: unset(rows * cols, out),
          x: floats(random.normals(rows * cols), x),
          scale: floats(random.normals(rows)),
        },
        args: (view) => ({ out: view("out"), x: view("x"), scale: view("scale"), rows, cols }),
        outputs: { out: close(out, 1e-6) },
      };
    }),
  );
}
