import { createRandom } from "../random.js";
import { close, floats, ints, mapped, SHAPES, unset, type KernelCase } from "./case.js";

export function embeddingCases(): KernelCase<"embedding">[] {
  const random = createRandom(9);
  const vocab = 50;
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).flatMap((out) =>
      (["f32", "bf16", "f16"] as const).map((dtype): KernelCase<"embedding"> => {
        const store = cols % 2 === 0 ? mapped : floats;
        return {
          name: `(${rows}, ${cols}) of ${cols % 2 === 0 || dtype === "f16" ? "mapped " : ""}${dtype} to ${out}`,
          buffers: {
            out: unset(rows * cols, out),
            table: store(random.normals(vocab * cols), dtype),
            ids: ints(Array.from({ length: rows }, (_, r) => (r === 0 ? vocab - 1 : random.below(vocab)))),
          },
          args: (view) => ({
            out: view("out"),
            table: view("table"),
            ids: view("ids"),
            rows,
            cols,
            vocab,
            factor: rows % 2 === 0 ? 1 : 1.5,
          }),
          outputs: { out: close(out, 1e-6, 1e-6) },
        };
      }),
    ),
  );
}
