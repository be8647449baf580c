import { createRandom } from "../random.js";
import { close, expectedOf, floats, SHAPES, unset, type KernelCase } from "./case.js";
import { NORM_TYPES } from "./norm-types.js";

export function rmsNormBackwardCases(): KernelCase<"rmsNormBackward">[] {
  const random = createRandom(12);
  return SHAPES.flatMap(([rows, cols]) =>
    NORM_TYPES.map(([xType, weightType, type], i): KernelCase<"rmsNormBackward"> => {
      const x = floats(random.normals(rows * cols, 3), xType);
      const weight = floats(random.normals(cols), weightType);
      const offset = i % 2;
      const shape = { rows, cols, offset };
      const { rstd } = expectedOf(
        "rmsNorm",
        {
          buffers: { out: unset(rows * cols), rstd: unset(rows), x, weight },
          args: (view) => ({
            out: view("out"),
            rstd: view("rstd"),
            x: view("x"),
            weight: view("weight"),
            ...shape,
            eps: 1e-5,
          }),
        },
        ["rstd"],
      );
      const wanted = { dx: (rows + i) % 3 !== 1, dWeight: (rows + i) % 3 !== 2 };
      return {
        name: `(${rows}, ${cols}) ${xType} by ${weightType} from ${type}${wanted.dx ? ", dx" : ""}${wanted.dWeight ? ", dWeight" : ""}`,
        buffers: {
          dx: unset(rows * cols, type),
          base: floats(random.normals(rows * cols)),
          dWeight: floats(random.normals(cols)),
          dOut: floats(random.normals(rows * cols), type),
          x,
          weight,
          rstd: floats(rstd!),
        },
        args: (view) => ({
          dx: wanted.dx ? view("dx") : undefined,
          base: wanted.dx && rows % 2 === 1 ? view("base") : undefined,
          dWeight: wanted.dWeight ? view("dWeight") : undefined,
          dOut: view("dOut"),
          x: view("x"),
          weight: view("weight"),
          rstd: view("rstd"),
          ...shape,
        }),
        outputs: { dx: close(type, 2e-5), dWeight: close("f32", 5e-5) },
      };
    }),
  );
}
