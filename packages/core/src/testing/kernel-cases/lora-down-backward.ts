import { createRandom } from "../random.js";
import { close, EXACT, floats, ints, type KernelCase } from "./case.js";
import { factors, loraChoices } from "./lora-choices.js";

export function loraDownBackwardCases(): KernelCase<"loraDownBackward">[] {
  const random = createRandom(23);
  return loraChoices().map(({ rows, cols, draw, dtype, compute, rank, index }) => {
    const only = (rows + index) % 3; // both results, or one alone
    return {
      name: `(${rows}, ${cols}) ${dtype}, rank ${rank}, p ${draw.p}, ${["both", "dA", "mask"][only]}, compute ${compute}`,
      buffers: {
        dA: floats(random.normals(rank * cols)),
        mask: ints(new Array<number>(rows * Math.ceil(cols / 32)).fill(0)),
        du: factors(random.normals(rows * rank)),
        x: factors(random.normals(rows * cols), dtype),
      },
      args: (view) => ({
        dA: only === 2 ? undefined : view("dA"),
        mask: only === 1 ? undefined : view("mask"),
        du: view("du"),
        x: view("x"),
        rows,
        cols,
        rank,
        compute,
        ...draw,
      }),
      outputs: { dA: close("f32", 2e-4, 2e-5), mask: EXACT },
    };
  });
}
