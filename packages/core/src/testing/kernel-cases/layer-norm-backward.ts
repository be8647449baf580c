import { createRandom } from "../random.js";
import { close, expectedOf, floats, SHAPES, unset, type KernelCase } from "./case.js";
import { layerNormArgs, NORM_TYPES } from "./norm-types.js";

export function layerNormBackwardCases(): KernelCase<"layerNormBackward">[] {
  const random = createRandom(15);
  return SHAPES.flatMap(([rows, cols]) =>
    NORM_TYPES.map(([xType, weightType, type], i): KernelCase<"layerNormBackward"> => {
      const x = floats(random.normals(rows * cols, 2), xType);
      const weight = floats(random.normals(cols), weightType);
      const shape = { rows, cols };
      const { mean, rstd } = expectedOf(
        "layerNorm",
        {
          buffers: { out: unset(rows * cols), mean: unset(rows), rstd: unset(rows), x, weight },
          args: (view) => layerNormArgs(view, shape),
        },
        ["mean", "rstd"],
      );
      const wanted = { dx: (rows + i) % 3 !== 1, dWeight: (rows + i) % 3 !== 2, dBias: (rows + i) % 4 !== 2 };
      const given = Object.entries(wanted)
        .filter(([, is]) => is)
        .map(([name]) => name);
      return {
        name: `(${rows}, ${cols}) ${xType} by ${weightType} from ${type}: ${given.join(", ")}`,
        buffers: {
          dx: unset(rows * cols, type),
          base: floats(random.normals(rows * cols)),
          dWeight: floats(random.normals(cols)),
          dBias: floats(random.normals(cols)),
          dOut: floats(random.normals(rows * cols), type),
          x,
          weight,
          mean: floats(mean!),
          rstd: floats(rstd!),
        },
        args: (view) => ({
          dx: wanted.dx ? view("dx") : undefined,
          base: wanted.dx && rows % 2 === 1 ? view("base") : undefined,
          dWeight: wanted.dWeight ? view("dWeight") : undefined,
          dBias: wanted.dBias ? view("dBias") : undefined,
          dOut: view("dOut"),
          x: view("x"),
          weight: view("weight"),
          mean: view("mean"),
          rstd: view("rstd"),
          ...shape,
        }),
        // With one or two columns rstd is large and dx is a difference of nearly equal terms.
        outputs: { dx: close(type, cols < 3 ? 2e-3 : 1e-4), dWeight: close("f32", 1e-4), dBias: close("f32", 2e-5) },
      };
    }),
  );
}
