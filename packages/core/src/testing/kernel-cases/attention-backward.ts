import { createRandom } from "../random.js";
import { ATTENTION, ATTENTION_TYPES, attentionInputs } from "./attention-inputs.js";
import { close, expectedOf, floats, unset, type KernelCase } from "./case.js";

export function attentionBackwardCases(): KernelCase<"attentionBackward">[] {
  const random = createRandom(19);
  return ATTENTION.flatMap((choice) =>
    ATTENTION_TYPES.map(([qkv, outType, bf16]): KernelCase<"attentionBackward"> => {
      const { name, rows, buffers, sizes, part, args } = attentionInputs(random, choice, qkv, bf16);
      const { heads, dim, size = 1 } = choice;
      const forward = expectedOf(
        "attention",
        {
          buffers: { ...buffers, out: unset(rows * heads * dim), lse: unset(heads * rows) },
          args: (view) => ({ out: view("out"), lse: view("lse"), ...args(view) }),
        },
        ["out", "lse"],
      );
      const gradients = Object.entries(sizes).map(([part, count]) => [`d${part}`, unset(count, qkv)] as const);
      // Against bf16 inputs the saved output is rounded, which leaves dP - D off by as much.
      const tolerance = bf16 ? { absolute: 0.06 * size, relative: 0.03 } : close(qkv, size > 1 ? 1e-3 : 5e-5);
      return {
        name: `${name} from ${outType}`,
        buffers: {
          ...buffers,
          ...Object.fromEntries(gradients),
          dOut: floats(random.normals(rows * heads * dim), outType),
          out: floats(forward["out"]!, outType),
          lse: floats(forward["lse"]!),
        },
        args: (view) => {
          const { q: dq, k: dk, v: dv } = part(view, "d");
          return { dq, dk, dv, dOut: view("dOut"), out: view("out"), lse: view("lse"), ...args(view) };
        },
        outputs: Object.fromEntries(gradients.map(([name]) => [name, tolerance])),
      };
    }),
  );
}
