import { createRandom } from "../random.js";
import { close, floats, ints, SHAPES, type KernelCase } from "./case.js";

export function embeddingBackwardCases(): KernelCase<"embeddingBackward">[] {
  const random = createRandom(10);
  const vocab = 11; // fewer than rows: ids repeat
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((dtype): KernelCase<"embeddingBackward"> => ({
      name: `(${rows}, ${cols}) ${dtype}`,
      buffers: {
        dTable: floats(random.normals(vocab * cols)),
        dOut: floats(random.normals(rows * cols), dtype),
        ids: ints(Array.from({ length: rows }, () => random.below(vocab))),
      },
      args: (view) => ({
        dTable: view("dTable"),
        dOut: view("dOut"),
        ids: view("ids"),
        rows,
        cols,
        vocab,
        factor: 0.7,
        padding: rows % 2 === 0 ? 3 : -1,
      }),
      outputs: { dTable: close("f32", 2e-5) },
    })),
  );
}
