import { createRandom } from "../random.js";
import { close, expectedOf, floats, unset, type KernelCase } from "./case.js";
import { HEAD_TYPES, headInputs, HEADS } from "./head-inputs.js";

export function linearCrossEntropyWeightBackwardCases(): KernelCase<"linearCrossEntropyWeightBackward">[] {
  const random = createRandom(24);
  return HEADS.flatMap((choice) =>
    HEAD_TYPES.filter(([, weight]) => weight !== "f16").map(
      ([hiddenType, weightType, bf16]): KernelCase<"linearCrossEntropyWeightBackward"> => {
        const { name, buffers, shape } = headInputs(random, choice, hiddenType, weightType, bf16);
        const { rows, cols, vocab } = shape;
        const { lse } = expectedOf(
          "linearCrossEntropy",
          {
            buffers: { ...buffers, nll: unset(rows), lse: unset(rows) },
            args: (view) => ({
              nll: view("nll"),
              lse: view("lse"),
              correct: undefined,
              dHidden: undefined,
              hidden: view("hidden"),
              weight: view("weight"),
              labels: view("labels"),
              ...shape,
            }),
          },
          ["lse"],
        );
        return {
          name,
          buffers: {
            ...buffers,
            dWeight: floats(random.normals(vocab * cols)),
            lse: floats(lse!),
            upstream: floats(random.normals(rows)),
          },
          args: (view) => ({
            dWeight: view("dWeight"),
            hidden: view("hidden"),
            weight: view("weight"),
            labels: view("labels"),
            lse: view("lse"),
            upstream: view("upstream"),
            ...shape,
          }),
          outputs: { dWeight: bf16 ? { absolute: 0.05, relative: 0.02 } : close("f32", 5e-5) },
        };
      },
    ),
  );
}
