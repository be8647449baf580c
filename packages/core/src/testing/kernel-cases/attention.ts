import { createRandom } from "../random.js";
import { ATTENTION, ATTENTION_TYPES, attentionInputs } from "./attention-inputs.js";
import { close, floats, unset, type KernelCase } from "./case.js";

export function attentionCases(): KernelCase<"attention">[] {
  const random = createRandom(18);
  const cases = ATTENTION.flatMap((choice) =>
    ATTENTION_TYPES.map(([qkv, outType, bf16]): KernelCase<"attention"> => {
      const { name, rows, buffers, args } = attentionInputs(random, choice, qkv, bf16);
      const { heads, dim, size = 1 } = choice;
      const absolute = bf16 ? 0.03 : size > 1 ? 2e-4 : 2e-5;
      return {
        name: `${name} to ${outType}`,
        buffers: { ...buffers, out: unset(rows * heads * dim, outType), lse: unset(heads * rows) },
        args: (view) => ({ out: view("out"), lse: view("lse"), ...args(view) }),
        outputs: { out: close(outType, absolute), lse: close("f32", absolute) },
      };
    }),
  );
  const base = cases.find(({ buffers }) => buffers["q"]?.dtype === "f32" && buffers["q"].data.length === 13 * 4 * 16)!;
  const q = base.buffers["q"]!.data.slice();
  q[5 * 64 + 3] = NaN;
  cases.push({ ...base, name: "a NaN query spoils its own row alone", buffers: { ...base.buffers, q: floats(q) } });
  return cases;
}
