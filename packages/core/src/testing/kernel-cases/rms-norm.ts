import { createRandom } from "../random.js";
import { close, floats, SHAPES, unset, type KernelCase } from "./case.js";
import { NORM_TYPES } from "./norm-types.js";

export function rmsNormCases(): KernelCase<"rmsNorm">[] {
  const random = createRandom(11);
  const cases = SHAPES.flatMap(([rows, cols]) =>
    NORM_TYPES.map(([x, weight, out], i): KernelCase<"rmsNorm"> => ({
      name: `(${rows}, ${cols}) ${x} by ${weight} to ${out}${i % 2 ? ", weight + 1" : ""}`,
      buffers: {
        out: unset(rows * cols, out),
        rstd: unset(rows),
        x: floats(random.normals(rows * cols, 3), x),
        weight: floats(random.normals(cols), weight),
      },
      args: (view) => ({
        out: view("out"),
        rstd: view("rstd"),
        x: view("x"),
        weight: view("weight"),
        rows,
        cols,
        eps: 1e-5,
        offset: i % 2,
      }),
      outputs: { out: close(out), rstd: close("f32") },
    })),
  );
  cases.push({
    name: "a row of zeros, one with NaN, one with an infinity",
    buffers: {
      out: unset(12),
      rstd: unset(3),
      x: floats([0, 0, 0, 0, 1, NaN, 2, 3, Infinity, 1, 2, 3]),
      weight: floats([1, 2, 3, 4]),
    },
    args: (view) => ({
      out: view("out"),
      rstd: view("rstd"),
      x: view("x"),
      weight: view("weight"),
      rows: 3,
      cols: 4,
      eps: 1e-6,
      offset: 0,
    }),
    outputs: { out: close("f32"), rstd: close("f32") },
  });
  return cases;
}
