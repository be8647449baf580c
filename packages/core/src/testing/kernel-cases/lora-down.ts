import { createRandom } from "../random.js";
import { close, unset, type KernelCase } from "./case.js";
import { factors, loraChoices } from "./lora-choices.js";

export function loraDownCases(): KernelCase<"loraDown">[] {
  const random = createRandom(22);
  return loraChoices().map(({ rows, cols, draw, dtype, compute, rank }) => ({
    name: `(${rows}, ${cols}) ${dtype}, rank ${rank}, p ${draw.p}, seed ${draw.seed}, compute ${compute}`,
    buffers: {
      out: unset(rows * rank),
      x: factors(random.normals(rows * cols), dtype),
      a: factors(random.normals(rank * cols)),
    },
    args: (view) => ({ out: view("out"), x: view("x"), a: view("a"), rows, cols, rank, scale: 1.5, compute, ...draw }),
    outputs: { out: close("f32", 2e-4, 2e-5) },
  }));
}
