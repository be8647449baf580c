import { createRandom } from "../random.js";
import { close, floats, unset, type KernelCase } from "./case.js";
import { factors, loraChoices } from "./lora-choices.js";

export function loraUpBackwardCases(): KernelCase<"loraUpBackward">[] {
  const random = createRandom(24);
  return loraChoices().map(({ rows, cols, dtype, compute, rank, index }) => ({
    name: `(${rows}, ${cols}) ${dtype}, rank ${rank}${index % 2 === 0 ? "" : ", du alone"}, compute ${compute}`,
    buffers: {
      du: unset(rows * rank),
      dB: floats(random.normals(cols * rank)),
      dy: factors(random.normals(rows * cols), dtype),
      u: factors(random.normals(rows * rank)),
      b: factors(random.normals(cols * rank)),
    },
    args: (view) => ({
      du: view("du"),
      dB: index % 2 === 0 ? view("dB") : undefined,
      dy: view("dy"),
      u: view("u"),
      b: view("b"),
      rows,
      cols,
      rank,
      scale: 1.5,
      compute,
    }),
    outputs: { du: close("f32", 2e-4, 2e-5), dB: close("f32", 2e-4, 2e-5) },
  }));
}
