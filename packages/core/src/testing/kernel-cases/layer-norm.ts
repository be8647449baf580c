import { createRandom } from "../random.js";
import { close, floats, SHAPES, unset, type KernelCase } from "./case.js";
import { layerNormArgs, NORM_TYPES } from "./norm-types.js";

export function layerNormCases(): KernelCase<"layerNorm">[] {
  const random = createRandom(13);
  const cases = SHAPES.flatMap(([rows, cols]) =>
    NORM_TYPES.map(([x, weight, out], i): KernelCase<"layerNorm"> => {
      const withBias = (rows + i) % 3 !== 0;
      return {
        name: `(${rows}, ${cols}) ${x} by ${weight} to ${out}${withBias ? ", bias" : ""}`,
        buffers: {
          out: unset(rows * cols, out),
          mean: unset(rows),
          rstd: unset(rows),
          x: floats(random.normals(rows * cols, 2), x),
          weight: floats(random.normals(cols), weight),
          bias: floats(random.normals(cols), weight),
        },
        args: (view) => layerNormArgs(view, { rows, cols }, withBias),
        // One column has no variance: rstd is 316, and so is the rounding error of x - mean.
        outputs: { out: close(out, 2e-5), mean: close("f32"), rstd: close("f32", 1e-4) },
      };
    }),
  );
  const offCentre = createRandom(14)
    .normals(300)
    .map((value) => 100 + value);
  cases.push({
    name: "a mean far from 0: the variance must not be a difference of squares",
    buffers: {
      out: unset(300),
      mean: unset(3),
      rstd: unset(3),
      x: floats(offCentre),
      weight: floats(new Float32Array(100).fill(1)),
    },
    args: (view) => layerNormArgs(view, { rows: 3, cols: 100 }),
    outputs: { out: close("f32", 5e-5), mean: close("f32"), rstd: close("f32", 2e-5) },
  });
  cases.push({
    name: "a row of one value, one with NaN, one with an infinity",
    buffers: {
      out: unset(12),
      mean: unset(3),
      rstd: unset(3),
      x: floats([2, 2, 2, 2, 1, NaN, 2, 3, Infinity, 1, 2, 3]),
      weight: floats([1, 2, 3, 4]),
    },
    args: (view) => layerNormArgs(view, { rows: 3, cols: 4 }),
    outputs: { out: close("f32"), mean: close("f32"), rstd: close("f32", 1e-4) },
  });
  return cases;
}
