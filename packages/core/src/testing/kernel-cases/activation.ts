import { ACTIVATIONS } from "../../backends/kernels.js";
import { createRandom } from "../random.js";
import { close, floats, isZero, unset, type KernelCase } from "./case.js";

export const SPECIAL_INPUTS = [NaN, 0, -0, 30, -30, 88, -88, 200, -200, 1e-4, -1e-4];

export function activationCases(): KernelCase<"activation">[] {
  const random = createRandom(20);
  return ACTIVATIONS.flatMap((activation, kind) =>
    (["f32", "bf16"] as const).flatMap((xType) =>
      (["f32", "bf16"] as const).flatMap((outType) =>
        [false, true].flatMap((gated) =>
          [0, 1, 7, 33, 1000, "special values" as const].map((count): KernelCase<"activation"> => {
            // PyTorch's erf form gives NaN for infinity, the others infinity.
            const special = activation === "gelu" ? SPECIAL_INPUTS : [...SPECIAL_INPUTS, Infinity];
            const x = count === "special values" ? Float32Array.from(special) : random.normals(count, 2);
            return {
              name: `${activation}${gated ? " gate" : ""}, ${isZero(x.length)} ${xType} to ${outType}${count === "special values" ? ", special values" : ""}`,
              buffers: {
                out: unset(x.length, outType),
                x: floats(x, xType),
                up: floats(random.normals(x.length), xType),
              },
              args: (view) => ({
                out: view("out"),
                x: view("x"),
                up: gated ? view("up") : undefined,
                count: x.length,
                kind,
              }),
              outputs: { out: close(outType, 2e-6) },
            };
          }),
        ),
      ),
    ),
  );
}
