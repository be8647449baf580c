import { ACTIVATIONS } from "../../backends/kernels.js";
import { createRandom } from "../random.js";
import { SPECIAL_INPUTS } from "./activation.js";
import { close, floats, isZero, unset, type KernelCase } from "./case.js";

export function activationBackwardCases(): KernelCase<"activationBackward">[] {
  const random = createRandom(21);
  const special = SPECIAL_INPUTS.filter((value) => !Number.isNaN(value));
  return ACTIVATIONS.flatMap((activation, kind) =>
    (["f32", "bf16"] as const).flatMap((xType) =>
      (["f32", "bf16"] as const).flatMap((dType) =>
        [false, true].flatMap((gated) =>
          [0, 1, 7, 33, 1000, "special values" as const].map((count): KernelCase<"activationBackward"> => {
            const x = count === "special values" ? Float32Array.from(special) : random.normals(count, 2);
            return {
              name: `${activation}${gated ? " gate" : ""}, ${isZero(x.length)} ${xType} from ${dType}${count === "special values" ? ", special values" : ""}`,
              buffers: {
                dx: unset(x.length, dType),
                dUp: unset(x.length, dType),
                dOut: floats(random.normals(x.length), dType),
                x: floats(x, xType),
                up: floats(random.normals(x.length), xType),
              },
              args: (view) => ({
                dx: view("dx"),
                dUp: gated ? view("dUp") : undefined,
                dOut: view("dOut"),
                x: view("x"),
                up: gated ? view("up") : undefined,
                count: x.length,
                kind,
              }),
              outputs: { dx: close(dType, 5e-6), dUp: close(dType, 5e-6) },
            };
          }),
        ),
      ),
    ),
  );
}
