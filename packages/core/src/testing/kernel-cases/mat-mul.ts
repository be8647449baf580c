import type { MatMulTerm } from "../../backends/kernels.js";
import type { DType } from "../../numeric/dtype.js";
import { createRandom, type Random } from "../random.js";
import { close, floats, ints, mapped, SIZES, unset, type CaseBuffer, type KernelCase, type ViewOf } from "./case.js";

interface TermChoice {
  k: number;
  aTrans: boolean;
  bTrans: boolean;
  a?: DType;
  b?: DType;
  scale?: number;
  /** Elements by which rows are further apart than they are long. */
  gap?: number;
  mapped?: boolean;
  masked?: boolean;
}

interface MatMulChoice {
  m: number;
  n: number;
  terms: readonly TermChoice[];
  out?: DType;
  bias?: DType;
  accumulate?: boolean;
  bf16?: boolean;
  gap?: number;
}

function matMulCase(random: Random, choice: MatMulChoice): KernelCase<"matMul"> {
  const { m, n, out = "f32", bias, accumulate = false, bf16 = false, gap = 0 } = choice;
  const buffers: Record<string, CaseBuffer> = {};
  const ldc = n + gap;
  buffers["out"] = accumulate ? floats(random.normals(m * ldc), out) : unset(m * ldc, out);
  if (bias !== undefined) buffers["bias"] = floats(random.normals(n), bias);
  let lossy = false;
  const terms = choice.terms.map((term, i) => {
    const { k, aTrans, bTrans, a = "f32", b = "f32", scale = 1, gap: skip = 0 } = term;
    // bf16 factors in f32 buffers are rounded on the way: the oracle does not do that.
    lossy ||= bf16 && (a !== "bf16" || b !== "bf16");
    const [lda, ldb] = [(aTrans ? m : k) + skip, (bTrans ? k : n) + skip];
    const store = term.mapped ? mapped : floats;
    const words = Array.from({ length: m * Math.ceil(n / 32) }, () => random.below(2 ** 32) | 0);
    if (term.masked) buffers[`mask${i}`] = ints(words);
    buffers[`a${i}`] = floats(random.normals((aTrans ? k : m) * lda), a);
    buffers[`b${i}`] = store(random.normals((bTrans ? n : k) * ldb, 1 / Math.sqrt(Math.max(1, k))), b);
    return (view: ViewOf): MatMulTerm => ({
      ...{ a: view(`a${i}`), lda, aTrans, b: view(`b${i}`), ldb, bTrans, k, scale },
      mask: term.masked ? view(`mask${i}`) : undefined,
    });
  });
  const kinds = choice.terms.map(
    (t) =>
      `${t.k}${t.aTrans ? " a^T" : ""}${t.bTrans ? " b^T" : ""} ${t.a ?? "f32"} x ${t.mapped ? "mapped " : ""}${t.b ?? "f32"}${t.masked ? " masked" : ""}`,
  );
  return {
    name: `(${m}, ${n}) over ${kinds.join(" + ") || "nothing"} to ${out}${bias ? `, ${bias} bias` : ""}${accumulate ? ", added" : ""}${bf16 ? ", in bf16" : ""}${gap ? ", with gaps" : ""}`,
    buffers,
    args: (view) => ({
      out: view("out"),
      ldc,
      m,
      n,
      bias: bias && view("bias"),
      accumulate: accumulate ? 1 : 0,
      compute: bf16 ? 1 : 0,
      terms: terms.map((term) => term(view)),
    }),
    // Rounding both factors to bf16 changes one product by up to 2^-7 of it; in longer sums these errors average out.
    outputs: { out: lossy ? close(out, 0.03, 2 ** -7) : close(out, 3e-5) },
  };
}

const FLAGS = [false, true];

/** Random shapes, strides, dtypes and numbers of terms, each drawn when it is asked for. */
function* anyChoices(random: Random, aTrans: boolean, bTrans: boolean, bf16: boolean): Iterable<MatMulChoice> {
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const types: readonly DType[] = ["f32", "bf16"];
  for (let i = 0; i < 16; i++) {
    const term = (): TermChoice => ({
      k: pick(SIZES),
      aTrans,
      bTrans,
      a: types[i % 2]!,
      b: types[(i >> 1) % 2]!,
      scale: pick([1, 0.5, -2]),
      gap: pick([0, 0, 5]),
    });
    const terms = Array.from({ length: 1 + (i % 3) }, term);
    const bias = i % 4 === 1 ? "f32" : i % 4 === 2 ? "bf16" : undefined;
    const chosen = {
      m: pick(SIZES),
      n: pick(SIZES),
      terms,
      out: types[(i >> 2) % 2]!,
      accumulate: pick(FLAGS),
      bf16,
      gap: pick([0, 0, 3]),
    };
    yield bias === undefined ? chosen : { ...chosen, bias };
  }
}

/** Beyond any block of a blocked product, sums longer than one, and factors in files. */
function longChoices(aTrans: boolean, bTrans: boolean, bf16: boolean): MatMulChoice[] {
  const a = bf16 ? "bf16" : "f32";
  const shapes = [
    [130, 70, 300],
    [3, 5, 4200],
    [40, 34, 2100],
    [1, 200, 130],
    [200, 8, 65],
    [1, 1, 1],
    [16, 1, 64],
    [5, 70, 40],
    [16, 66, 300],
  ] as const;
  return [
    ...shapes.map(([m, n, k]) => ({ m, n, terms: [{ k, aTrans, bTrans, a, b: a }], bf16 }) as const),
    // A bf16 output must be rounded once, when the long sum is complete.
    {
      m: 9,
      n: 40,
      terms: [
        { k: 4200, aTrans, bTrans, a, b: a },
        { k: 8, aTrans, bTrans, a, b: a, scale: 2 },
      ],
      out: "bf16",
      bf16,
    },
    ...(["f32", "bf16", "f16"] as const).map((b) => {
      return { m: 17, n: 33, terms: [{ k: 64, aTrans, bTrans, a, b, mapped: true }], bf16 } as const;
    }),
  ];
}

/** Empty in every direction: with nothing to sum, the bias and what was there remain. */
function emptyChoices(aTrans: boolean, bTrans: boolean): MatMulChoice[] {
  return [
    { m: 0, n: 5, terms: [{ k: 3, aTrans, bTrans }] },
    { m: 5, n: 0, terms: [{ k: 3, aTrans, bTrans }] },
    { m: 4, n: 5, terms: [{ k: 0, aTrans, bTrans }], bias: "f32" },
    { m: 4, n: 5, terms: [{ k: 0, aTrans, bTrans }], accumulate: true },
  ];
}

/** A NaN or an infinity stays in its own row of A. */
function specialCase(random: Random, aTrans: boolean, bTrans: boolean): KernelCase<"matMul"> {
  const base = matMulCase(random, { m: 7, n: 33, terms: [{ k: 17, aTrans, bTrans }] });
  const a = base.buffers["a0"]!.data.slice();
  a[aTrans ? 2 : 2 * 17] = NaN;
  a[aTrans ? 5 : 5 * 17] = Infinity;
  return { ...base, name: `NaN and infinity, ${base.name}`, buffers: { ...base.buffers, a0: floats(a) } };
}

/** A LoRA linear: base with a transposed weight plus a narrow product, and its gradient. */
const LORA: readonly MatMulChoice[] = [
  {
    m: 33,
    n: 100,
    terms: [
      { k: 64, aTrans: false, bTrans: true },
      { k: 8, aTrans: false, bTrans: true, scale: 2 },
    ],
    bias: "f32",
  },
  {
    m: 33,
    n: 64,
    terms: [
      { k: 100, aTrans: false, bTrans: false },
      { k: 8, aTrans: false, bTrans: false, scale: 2 },
    ],
  },
  { m: 8, n: 64, terms: [{ k: 100, aTrans: true, bTrans: false }], accumulate: true },
];

/** Gradients that pass through dropout, alone and in a sum, of one and of several passes over k. */
function maskedChoices(bf16: boolean, m: number, n: number, k: number, rank: number): MatMulChoice[] {
  const a = bf16 ? "bf16" : "f32";
  const wide = { k, aTrans: false, bTrans: false, a, b: a } as const;
  const narrow = { k: rank, aTrans: false, bTrans: false, scale: 1.25, masked: true, a, b: a } as const;
  return (["f32", "bf16"] as const).flatMap((out): MatMulChoice[] => [
    { m, n, terms: [wide, narrow], out, bf16, bias: "f32" },
    { m, n, terms: [wide, narrow, wide, { ...narrow, k: 2 }], out, bf16 },
    { m, n, terms: [narrow], out, bf16, gap: 3 },
  ]);
}

/** Rows, columns, length of the wide sum and of the narrow, masked one. */
const MASKED = [
  [1, 1, 1, 1],
  [3, 40, 0, 5],
  [33, 100, 64, 8],
  [31, 33, 2600, 3],
  [40, 70, 5200, 17],
] as const;

export function matMulCases(): KernelCase<"matMul">[] {
  const random = createRandom(8);
  const made = (choices: Iterable<MatMulChoice>) => Array.from(choices, (choice) => matMulCase(random, choice));
  return [
    ...FLAGS.flatMap((aTrans) =>
      FLAGS.flatMap((bTrans) => [
        ...FLAGS.flatMap((bf16) => [
          ...made(anyChoices(random, aTrans, bTrans, bf16)),
          ...made(longChoices(aTrans, bTrans, bf16)),
        ]),
        ...made(emptyChoices(aTrans, bTrans)),
        specialCase(random, aTrans, bTrans),
      ]),
    ),
    ...made(LORA),
    ...MASKED.flatMap(([m, n, k, rank]) => FLAGS.flatMap((bf16) => made(maskedChoices(bf16, m, n, k, rank)))),
  ];
}
