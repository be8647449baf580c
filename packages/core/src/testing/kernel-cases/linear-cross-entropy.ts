import { createRandom } from "../random.js";
import { close, EXACT, floats, ints, unset, type KernelCase, type ViewOf } from "./case.js";
import { HEAD_TYPES, headInputs, HEADS } from "./head-inputs.js";

export function linearCrossEntropyCases(): KernelCase<"linearCrossEntropy">[] {
  const random = createRandom(23);
  const cases = HEADS.flatMap((choice) =>
    HEAD_TYPES.flatMap(([hiddenType, weightType, bf16], i): KernelCase<"linearCrossEntropy">[] => {
      const { name, buffers, open, shape } = headInputs(random, choice, hiddenType, weightType, bf16);
      const { rows, cols } = shape;
      const args = (view: ViewOf, withLse: boolean) => ({
        nll: view("nll"),
        lse: view("lse"),
        correct: withLse || i % 2 === 0 ? view("correct") : undefined,
        dHidden: withLse || i % 3 > 0 ? undefined : view("dHidden"),
        hidden: view("hidden"),
        weight: view("weight"),
        labels: view("labels"),
        ...shape,
      });
      const all = { ...buffers, nll: unset(rows), lse: unset(rows), correct: unset(rows), dHidden: unset(rows * cols) };
      const absolute = bf16 ? 0.03 : 2e-5;
      // bf16 factors can turn the arg max, so it is compared where they do not.
      const correct = bf16 ? {} : { correct: EXACT };
      return [
        {
          name,
          buffers: all,
          args: (view) => args(view, false),
          outputs: { nll: close("f32", absolute), ...correct, dHidden: close("f32", absolute) },
        },
        {
          name: `log-sum-exp, ${name}`,
          buffers: all,
          args: (view) => args(view, true),
          outputs: { lse: close("f32", absolute) },
          open,
        },
      ];
    }),
  );
  // Whole numbers, so that logits are exact and two rows of the head tie: the first one counts.
  cases.push({
    name: "ties go to the first arg max",
    buffers: {
      nll: unset(3),
      lse: unset(3),
      correct: unset(3),
      hidden: floats([1, 2, 1, 2, -1, 3]),
      weight: floats([0, 1, 2, 2, 2, 2, 1, 0]),
      labels: ints([1, 2, 2]),
    },
    args: (view) => ({
      nll: view("nll"),
      lse: view("lse"),
      correct: view("correct"),
      dHidden: undefined,
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      rows: 3,
      cols: 2,
      vocab: 4,
      softCap: 0,
      compute: 0,
    }),
    outputs: { nll: close("f32"), lse: close("f32"), correct: EXACT },
  });
  cases.push({
    name: "a NaN state spoils its own row alone, and large logits do not overflow",
    buffers: {
      nll: unset(3),
      lse: unset(3),
      hidden: floats([NaN, 1, 300, -200, 1, 1]),
      weight: floats([1, 0, 0, 1, 1, 1]),
      labels: ints([0, 1, 2]),
    },
    args: (view) => ({
      nll: view("nll"),
      lse: view("lse"),
      correct: undefined,
      dHidden: undefined,
      hidden: view("hidden"),
      weight: view("weight"),
      labels: view("labels"),
      rows: 3,
      cols: 2,
      vocab: 3,
      softCap: 0,
      compute: 0,
    }),
    outputs: { nll: close("f32"), lse: close("f32") },
  });
  return cases;
}
