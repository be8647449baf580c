/**
 * The shared tests' inputs: for every kernel in KERNELS a list of cases. A backend runs each and is compared with the js
 * backend in double precision. Outputs that a kernel overwrites start as NaN, so that a left-over or a gap shows.
 */
import { f32ToBf16, bf16ToF32, f16ToF32 } from "../numeric/half.js";
import { jsKernels } from "../backends/js/js-kernels.js";
import { JsMemory } from "../backends/js/memory.js";
import { ACTIVATIONS, type KernelArgs, type KernelName, type MatMulTerm, type View } from "../backends/kernels.js";
import type { DType } from "../numeric/dtype.js";
import type { Tolerance } from "./all-close.js";
import { createRandom, type Random } from "./random.js";

export interface CaseBuffer {
  readonly dtype: DType;
  /** Every element is one that the dtype can hold. */
  readonly data: Float32Array | Int32Array;
  /** Lies in a file, at an odd byte offset. */
  readonly mapped: boolean;
}

type Buffers = Readonly<Record<string, CaseBuffer>>;

/** A view on a buffer of the case, by name. */
export type ViewOf = (name: string, offset?: number) => View;

export interface KernelCase<K extends KernelName = KernelName> {
  readonly name: string;
  readonly buffers: Buffers;
  readonly args: (view: ViewOf) => KernelArgs<K>;
  readonly outputs: Readonly<Record<string, Tolerance>>;
  /** Elements of every output that the contract leaves open. */
  readonly open?: ReadonlySet<number>;
}

/** What the js kernels in double precision make of the named buffers. */
export function expectedOf<K extends KernelName>(
  kernel: K,
  { buffers, args }: Pick<KernelCase<K>, "buffers" | "args">,
  names: readonly string[],
): Record<string, Float64Array> {
  const memory = new JsMemory(true);
  const ids = new Map(Object.keys(buffers).map((name, index) => [name, index + 1]));
  const whole = (name: string): View => {
    const dtype = buffers[name]!.dtype === "i32" ? "i32" : "f32";
    return { buffer: ids.get(name)!, offset: 0, dtype };
  };
  for (const [name, { data }] of Object.entries(buffers)) {
    memory.allocate(ids.get(name)!, whole(name).dtype, data.length);
    memory.writable(whole(name), data.length).set(data);
  }
  jsKernels[kernel](
    memory,
    args((name, offset = 0) => ({ ...whole(name), offset })),
  );
  return Object.fromEntries(
    names.map((name) => [name, Float64Array.from(memory.copy(whole(name), buffers[name]!.data.length))]),
  );
}

/** The nearest value of the dtype. */
export function roundTo(dtype: DType, value: number): number {
  switch (dtype) {
    case "f32":
      return Math.fround(value);
    case "bf16":
      return bf16ToF32(f32ToBf16(value));
    case "f16":
      return f16ToF32(f32ToF16(value));
    case "i32":
    case "u8":
      return value;
  }
}

/** Bits of a number that is made an IEEE half by dropping digits; enough for test data. */
export function f32ToF16(value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | Math.floor(size * 2 ** 24);
  const exponent = Math.min(15, Math.floor(Math.log2(size)));
  return sign | ((exponent + 15) << 10) | Math.min(1023, Math.floor((size / 2 ** exponent - 1) * 1024));
}

/** Bit for bit what the dtype rounds the exact result to. */
export const EXACT: Tolerance = { absolute: 0, relative: 0 };

/** f32 rounding in another order, on numbers of the order of 1; a bf16 output adds half a unit in its last place. */
function close(dtype: DType, absolute = 1e-5, relative = 1e-5): Tolerance {
  return { absolute, relative: dtype === "bf16" ? relative + 2 ** -8 : relative };
}

const SIZES = [1, 2, 3, 7, 13, 17, 31, 33, 64, 100];
const SHAPES: readonly [rows: number, cols: number][] = [
  [0, 7],
  [1, 1],
  [1, 100],
  [2, 3],
  [3, 2],
  [7, 33],
  [13, 1],
  [17, 64],
  [31, 17],
  [33, 31],
  [64, 13],
  [100, 7],
  [5, 600],
];

function floats(data: ArrayLike<number>, dtype: DType = "f32"): CaseBuffer {
  return { dtype, data: Float32Array.from(data, (value) => roundTo(dtype, value)), mapped: dtype === "f16" };
}
function mapped(data: ArrayLike<number>, dtype: DType): CaseBuffer {
  return { ...floats(data, dtype), mapped: true };
}
function ints(data: ArrayLike<number>): CaseBuffer {
  return { dtype: "i32", data: Int32Array.from(data), mapped: false };
}
/** An output that is to be overwritten. */
function unset(count: number, dtype: DType = "f32"): CaseBuffer {
  return floats(new Float32Array(count).fill(NaN), dtype);
}
const isZero = (size: number): string => (size === 0 ? "zero" : String(size));

function fillCases(): KernelCase<"fill">[] {
  const counts = [0, ...SIZES, 1000];
  const values = [0, 1.5, -3, NaN, Infinity, 1e-3];
  return (["f32", "bf16", "i32"] as const).flatMap((dtype) =>
    counts.map((count, i): KernelCase<"fill"> => {
      const value = dtype === "i32" ? i - 3 : values[i % values.length]!;
      return {
        name: `${isZero(count)} ${dtype} with ${value}`,
        buffers: { out: dtype === "i32" ? ints(new Int32Array(count)) : unset(count, dtype) },
        args: (view) => ({ out: view("out"), count, value }),
        outputs: { out: EXACT },
      };
    }),
  );
}

function copyCases(): KernelCase<"copy">[] {
  const random = createRandom(2);
  // Ties of bf16 go to the even neighbour; the largest f32 becomes infinity.
  const special = [
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1 + 2 ** -8,
    1 + 3 * 2 ** -8,
    -1 - 2 ** -8,
    3.4028234e38,
    1 + 2 ** -8 + 2 ** -20,
  ];
  const cases: KernelCase<"copy">[] = [];
  const add = (name: string, x: CaseBuffer, dtype: DType) => {
    const count = x.data.length;
    const args = (view: ViewOf) => ({ out: view("out"), x: view("x"), count });
    cases.push({
      name: `${name} to ${dtype}`,
      buffers: { out: unset(count, dtype), x },
      args,
      outputs: { out: EXACT },
    });
  };
  for (const dtype of ["f32", "bf16"] as const) {
    for (const count of [0, ...SIZES, 1000]) {
      for (const source of ["f32", "bf16"] as const)
        add(`${isZero(count)} ${source}`, floats(random.normals(count), source), dtype);
    }
    for (const source of ["f32", "bf16", "f16"] as const)
      add(`mapped ${source}`, mapped(random.normals(70), source), dtype);
    add("special values", floats(special), dtype);
  }
  return cases;
}

function addCases(): KernelCase<"add">[] {
  const random = createRandom(3);
  const cases: KernelCase<"add">[] = [];
  for (const out of ["f32", "bf16"] as const) {
    for (const a of ["f32", "bf16"] as const) {
      for (const b of ["f32", "bf16"] as const) {
        for (const count of [0, 1, 17, 100, 1000]) {
          const [alpha, beta] = [random.normal(), random.normal()];
          cases.push({
            name: `${isZero(count)} ${a} and ${b} to ${out}`,
            buffers: {
              out: unset(count, out),
              a: floats(random.normals(count), a),
              b: floats(random.normals(count), b),
            },
            args: (view) => ({ out: view("out"), a: view("a"), b: view("b"), count, alpha, beta }),
            outputs: { out: close(out, 1e-6) },
          });
        }
      }
    }
    cases.push({
      name: `in place of the first, ${out}`,
      buffers: { a: floats(random.normals(33), out), b: floats(random.normals(33), "f32") },
      args: (view) => ({ out: view("a"), a: view("a"), b: view("b"), count: 33, alpha: 1, beta: -2 }),
      outputs: { a: close(out, 1e-6) },
    });
    cases.push({
      name: `in place of the second, ${out}`,
      buffers: { a: floats(random.normals(33), "f32"), b: floats(random.normals(33), out) },
      args: (view) => ({ out: view("b"), a: view("a"), b: view("b"), count: 33, alpha: 0.5, beta: 1 }),
      outputs: { b: close(out, 1e-6) },
    });
  }
  cases.push({
    name: "NaN and infinities",
    buffers: {
      out: unset(5),
      a: floats([NaN, Infinity, Infinity, 1, 2]),
      b: floats([1, 1, -Infinity, -Infinity, NaN]),
    },
    args: (view) => ({ out: view("out"), a: view("a"), b: view("b"), count: 5, alpha: 1, beta: 1 }),
    outputs: { out: EXACT },
  });
  return cases;
}

function scaleCases(): KernelCase<"scale">[] {
  const random = createRandom(4);
  const cases: KernelCase<"scale">[] = [];
  for (const out of ["f32", "bf16"] as const) {
    for (const x of ["f32", "bf16"] as const) {
      for (const count of [0, 1, 13, 64, 1000]) {
        for (const xStride of [0, 1]) {
          const withScalar = (count + xStride) % 2 === 0;
          const scalar = withScalar ? { scalar: floats([random.normal()]) } : {};
          cases.push({
            name: `${isZero(count)} ${x} to ${out}, stride ${xStride}${withScalar ? ", scalar" : ""}`,
            buffers: { out: unset(count, out), x: floats(random.normals(xStride === 0 ? 1 : count), x), ...scalar },
            args: (view) => ({
              out: view("out"),
              x: view("x"),
              xStride,
              scalar: withScalar ? view("scalar") : undefined,
              count,
              factor: -1.7,
            }),
            outputs: { out: close(out, 1e-6) },
          });
        }
      }
    }
  }
  cases.push({
    name: "in place, with NaN and infinities",
    buffers: { x: floats([NaN, Infinity, -Infinity, 2, 0]), scalar: floats([0.25]) },
    args: (view) => ({ out: view("x"), x: view("x"), xStride: 1, scalar: view("scalar"), count: 5, factor: 4 }),
    outputs: { x: EXACT },
  });
  return cases;
}

function scaleRowsCases(): KernelCase<"scaleRows">[] {
  const random = createRandom(5);
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((out, i): KernelCase<"scaleRows"> => {
      const x = (rows + i) % 2 === 0 ? "f32" : "bf16";
      return {
        name: `(${rows}, ${cols}) ${x} to ${out}`,
        buffers: {
          out: unset(rows * cols, out),
          x: floats(random.normals(rows * cols), x),
          scale: floats(random.normals(rows)),
        },
        args: (view) => ({ out: view("out"), x: view("x"), scale: view("scale"), rows, cols }),
        outputs: { out: close(out, 1e-6) },
      };
    }),
  );
}

function softCapCases(): KernelCase<"softCap">[] {
  const random = createRandom(30);
  const cap = (name: string, x: CaseBuffer, out: DType, cap: number): KernelCase<"softCap"> => ({
    name: `${name} ${x.dtype} to ${out}, cap ${cap}`,
    buffers: { out: unset(x.data.length, out), x },
    args: (view) => ({ out: view("out"), x: view("x"), count: x.data.length, cap }),
    outputs: { out: close(out, 1e-6) },
  });
  return [
    ...(["f32", "bf16"] as const).flatMap((out) =>
      [0, 1, 17, 100, 1000].flatMap((count) => [
        cap(isZero(count), floats(random.normals(count), "f32"), out, 0.7),
        cap(isZero(count), floats(random.normals(count), "bf16"), out, 30),
      ]),
    ),
    cap("saturating and special", floats([1e30, -1e30, Infinity, -Infinity, NaN, 0]), "f32", 50),
    {
      name: "in place",
      buffers: { x: floats(random.normals(33)) },
      args: (view) => ({ out: view("x"), x: view("x"), count: 33, cap: 2 }),
      outputs: { x: close("f32", 1e-6) },
    },
  ];
}

function sumCases(): KernelCase<"sum">[] {
  const random = createRandom(6);
  const sum = (name: string, x: CaseBuffer): KernelCase<"sum"> => ({
    name,
    buffers: { out: unset(1), x },
    args: (view) => ({ out: view("out"), x: view("x"), count: x.data.length, factor: 0.37 }),
    outputs: { out: { absolute: 1e-9, relative: 2e-7 } }, // summed in f64: one rounding to f32
  });
  return [
    ...(["f32", "bf16"] as const).flatMap((dtype) =>
      [0, ...SIZES, 65_536, 131_075].map((count) =>
        sum(`${isZero(count)} ${dtype}`, floats(random.normals(count), dtype)),
      ),
    ),
    sum("large numbers that cancel", floats([2 ** 24, 1, 1, 1, -(2 ** 24)])),
    sum("NaN", floats([1, NaN, 2])),
    sum("infinity", floats([1, Infinity, 2])),
  ];
}

function argMaxCases(): KernelCase<"argMax">[] {
  const random = createRandom(29);
  const argMax = (name: string, rows: number, x: CaseBuffer): KernelCase<"argMax"> => ({
    name,
    buffers: { out: ints(new Array<number>(rows).fill(-1)), x },
    args: (view) => ({ out: view("out"), x: view("x"), rows, cols: x.data.length / Math.max(1, rows) || 1 }),
    outputs: { out: EXACT },
  });
  const of = (...values: number[]) => argMax(values.join(" "), 1, floats(values));
  const long = (...places: number[]) => {
    const data = new Float32Array(70_000).fill(-3);
    for (const place of places) data[place] = 7;
    return argMax(`largest at ${places.join(" and ")}`, 1, floats(data));
  };
  return [
    ...[...SHAPES, [3, 70_001] as const].flatMap(([rows, cols]) =>
      // Numbers in bf16 are often equal.
      (["f32", "bf16"] as const).map((dtype) =>
        argMax(`(${rows}, ${cols}) ${dtype}`, rows, floats(random.normals(rows * cols), dtype)),
      ),
    ),
    ...[
      of(2, 5, 5, 1),
      of(NaN, 1, 2),
      of(1, NaN, 2, NaN),
      of(-Infinity, -Infinity),
      of(-Infinity, -1),
      of(1, Infinity),
    ],
    ...[long(32_767, 32_768), long(69_999), long(40_000, 65_536), long()],
  ];
}

function sumRowsCases(): KernelCase<"sumRows">[] {
  const random = createRandom(7);
  return [...SHAPES, [600, 5] as const].flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((dtype) => ({
      name: `(${rows}, ${cols}) ${dtype}`,
      buffers: { out: floats(random.normals(cols)), x: floats(random.normals(rows * cols), dtype) },
      args: (view: ViewOf) => ({ out: view("out"), x: view("x"), rows, cols }),
      outputs: { out: close("f32", 2e-5) },
    })),
  );
}

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

function matMulCases(): KernelCase<"matMul">[] {
  const random = createRandom(8);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const cases: KernelCase<"matMul">[] = [];
  const add = (choice: MatMulChoice) => cases.push(matMulCase(random, choice));
  const flags = [false, true];

  for (const aTrans of flags) {
    for (const bTrans of flags) {
      for (const bf16 of flags) {
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
            accumulate: pick(flags),
            bf16,
            gap: pick([0, 0, 3]),
          };
          add(bias === undefined ? chosen : { ...chosen, bias });
        }
        // Beyond any block of a blocked product, and sums longer than one.
        const a = bf16 ? "bf16" : "f32";
        for (const [m, n, k] of [
          [130, 70, 300],
          [3, 5, 4200],
          [40, 34, 2100],
          [1, 200, 130],
          [200, 8, 65],
          [1, 1, 1],
          [16, 1, 64],
          [5, 70, 40],
          [16, 66, 300],
        ] as const) {
          add({ m, n, terms: [{ k, aTrans, bTrans, a, b: a }], bf16 });
        }
        // A bf16 output must be rounded once, when the long sum is complete.
        add({
          m: 9,
          n: 40,
          terms: [
            { k: 4200, aTrans, bTrans, a, b: a },
            { k: 8, aTrans, bTrans, a, b: a, scale: 2 },
          ],
          out: "bf16",
          bf16,
        });
        for (const b of ["f32", "bf16", "f16"] as const)
          add({ m: 17, n: 33, terms: [{ k: 64, aTrans, bTrans, a, b, mapped: true }], bf16 });
      }
      // Empty in every direction: with nothing to sum, the bias and what was there remain.
      add({ m: 0, n: 5, terms: [{ k: 3, aTrans, bTrans }] });
      add({ m: 5, n: 0, terms: [{ k: 3, aTrans, bTrans }] });
      add({ m: 4, n: 5, terms: [{ k: 0, aTrans, bTrans }], bias: "f32" });
      add({ m: 4, n: 5, terms: [{ k: 0, aTrans, bTrans }], accumulate: true });
      // A NaN or an infinity stays in its own row of A.
      const base = matMulCase(random, { m: 7, n: 33, terms: [{ k: 17, aTrans, bTrans }] });
      const a = base.buffers["a0"]!.data.slice();
      a[aTrans ? 2 : 2 * 17] = NaN;
      a[aTrans ? 5 : 5 * 17] = Infinity;
      cases.push({ ...base, name: `NaN and infinity, ${base.name}`, buffers: { ...base.buffers, a0: floats(a) } });
    }
  }
  // A LoRA linear: base with a transposed weight plus a narrow product, and its gradient.
  add({
    m: 33,
    n: 100,
    terms: [
      { k: 64, aTrans: false, bTrans: true },
      { k: 8, aTrans: false, bTrans: true, scale: 2 },
    ],
    bias: "f32",
  });
  add({
    m: 33,
    n: 64,
    terms: [
      { k: 100, aTrans: false, bTrans: false },
      { k: 8, aTrans: false, bTrans: false, scale: 2 },
    ],
  });
  add({ m: 8, n: 64, terms: [{ k: 100, aTrans: true, bTrans: false }], accumulate: true });
  // Gradients that pass through dropout, alone and in a sum, of one and of several passes over k.
  for (const [m, n, k, rank] of [
    [1, 1, 1, 1],
    [3, 40, 0, 5],
    [33, 100, 64, 8],
    [31, 33, 2600, 3],
    [40, 300, 5200, 17],
  ] as const)
    for (const bf16 of flags)
      for (const out of ["f32", "bf16"] as const) {
        const a = bf16 ? "bf16" : "f32";
        const wide = { k, aTrans: false, bTrans: false, a, b: a } as const;
        const narrow = { k: rank, aTrans: false, bTrans: false, scale: 1.25, masked: true, a, b: a } as const;
        add({ m, n, terms: [wide, narrow], out, bf16, bias: "f32" });
        add({ m, n, terms: [wide, narrow, wide, { ...narrow, k: 2 }], out, bf16 });
        add({ m, n, terms: [narrow], out, bf16, gap: 3 });
      }
  return cases;
}

function embeddingCases(): KernelCase<"embedding">[] {
  const random = createRandom(9);
  const vocab = 50;
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).flatMap((out) =>
      (["f32", "bf16", "f16"] as const).map((dtype): KernelCase<"embedding"> => {
        const store = cols % 2 === 0 ? mapped : floats;
        return {
          name: `(${rows}, ${cols}) of ${cols % 2 === 0 || dtype === "f16" ? "mapped " : ""}${dtype} to ${out}`,
          buffers: {
            out: unset(rows * cols, out),
            table: store(random.normals(vocab * cols), dtype),
            ids: ints(Array.from({ length: rows }, (_, r) => (r === 0 ? vocab - 1 : random.below(vocab)))),
          },
          args: (view) => ({
            out: view("out"),
            table: view("table"),
            ids: view("ids"),
            rows,
            cols,
            vocab,
            factor: rows % 2 === 0 ? 1 : 1.5,
          }),
          outputs: { out: close(out, 1e-6, 1e-6) },
        };
      }),
    ),
  );
}

function embeddingBackwardCases(): KernelCase<"embeddingBackward">[] {
  const random = createRandom(10);
  const vocab = 11; // fewer than rows: ids repeat
  return SHAPES.flatMap(([rows, cols]) =>
    (["f32", "bf16"] as const).map((dtype): KernelCase<"embeddingBackward"> => ({
      name: `(${rows}, ${cols}) ${dtype}`,
      buffers: {
        dTable: floats(random.normals(vocab * cols)),
        dOut: floats(random.normals(rows * cols), dtype),
        ids: ints(Array.from({ length: rows }, () => random.below(vocab))),
      },
      args: (view) => ({
        dTable: view("dTable"),
        dOut: view("dOut"),
        ids: view("ids"),
        rows,
        cols,
        vocab,
        factor: 0.7,
        padding: rows % 2 === 0 ? 3 : -1,
      }),
      outputs: { dTable: close("f32", 2e-5) },
    })),
  );
}

/** dtypes of a norm's input, weight and output. */
const NORM_TYPES: readonly [x: DType, weight: DType, out: DType][] = [
  ["f32", "f32", "f32"],
  ["f32", "bf16", "bf16"],
  ["bf16", "bf16", "bf16"],
  ["bf16", "f32", "f32"],
];

function rmsNormCases(): KernelCase<"rmsNorm">[] {
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

function rmsNormBackwardCases(): KernelCase<"rmsNormBackward">[] {
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

function layerNormCases(): KernelCase<"layerNorm">[] {
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
        args: (view) => ({
          out: view("out"),
          mean: view("mean"),
          rstd: view("rstd"),
          x: view("x"),
          weight: view("weight"),
          bias: withBias ? view("bias") : undefined,
          rows,
          cols,
          eps: 1e-5,
        }),
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
    args: (view) => ({
      out: view("out"),
      mean: view("mean"),
      rstd: view("rstd"),
      x: view("x"),
      weight: view("weight"),
      bias: undefined,
      rows: 3,
      cols: 100,
      eps: 1e-5,
    }),
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
    args: (view) => ({
      out: view("out"),
      mean: view("mean"),
      rstd: view("rstd"),
      x: view("x"),
      weight: view("weight"),
      bias: undefined,
      rows: 3,
      cols: 4,
      eps: 1e-5,
    }),
    outputs: { out: close("f32"), mean: close("f32"), rstd: close("f32", 1e-4) },
  });
  return cases;
}

function layerNormBackwardCases(): KernelCase<"layerNormBackward">[] {
  const random = createRandom(15);
  return SHAPES.flatMap(([rows, cols]) =>
    NORM_TYPES.map(([xType, weightType, type], i): KernelCase<"layerNormBackward"> => {
      const x = floats(random.normals(rows * cols, 2), xType);
      const weight = floats(random.normals(cols), weightType);
      const shape = { rows, cols };
      const { mean, rstd } = expectedOf(
        "layerNorm",
        {
          buffers: { out: unset(rows * cols), mean: unset(rows), rstd: unset(rows), x, weight },
          args: (view) => ({
            out: view("out"),
            mean: view("mean"),
            rstd: view("rstd"),
            x: view("x"),
            weight: view("weight"),
            bias: undefined,
            ...shape,
            eps: 1e-5,
          }),
        },
        ["mean", "rstd"],
      );
      const wanted = { dx: (rows + i) % 3 !== 1, dWeight: (rows + i) % 3 !== 2, dBias: (rows + i) % 4 !== 2 };
      const given = Object.entries(wanted)
        .filter(([, is]) => is)
        .map(([name]) => name);
      return {
        name: `(${rows}, ${cols}) ${xType} by ${weightType} from ${type}: ${given.join(", ")}`,
        buffers: {
          dx: unset(rows * cols, type),
          base: floats(random.normals(rows * cols)),
          dWeight: floats(random.normals(cols)),
          dBias: floats(random.normals(cols)),
          dOut: floats(random.normals(rows * cols), type),
          x,
          weight,
          mean: floats(mean!),
          rstd: floats(rstd!),
        },
        args: (view) => ({
          dx: wanted.dx ? view("dx") : undefined,
          base: wanted.dx && rows % 2 === 1 ? view("base") : undefined,
          dWeight: wanted.dWeight ? view("dWeight") : undefined,
          dBias: wanted.dBias ? view("dBias") : undefined,
          dOut: view("dOut"),
          x: view("x"),
          weight: view("weight"),
          mean: view("mean"),
          rstd: view("rstd"),
          ...shape,
        }),
        // With one or two columns rstd is large and dx is a difference of nearly equal terms.
        outputs: { dx: close(type, cols < 3 ? 2e-3 : 1e-4), dWeight: close("f32", 1e-4), dBias: close("f32", 2e-5) },
      };
    }),
  );
}

function inverseFrequencies(half: number): Float32Array {
  return Float32Array.from({ length: half }, (_, j) => 10_000 ** (-j / half));
}

function ropeTableCases(): KernelCase<"ropeTable">[] {
  const random = createRandom(16);
  return (
    [
      [0, 4],
      [1, 1],
      [3, 7],
      [17, 32],
      [100, 3],
      [33, 64],
    ] as const
  ).map(([rows, half]): KernelCase<"ropeTable"> => ({
    name: `(${rows}, 2 * ${half})`,
    buffers: {
      out: unset(rows * 2 * half),
      positions: ints(Array.from({ length: rows }, (_, r) => (r % 2 === 0 ? r : random.below(100_000)))),
      invFreq: floats(inverseFrequencies(half)),
    },
    args: (view) => ({
      out: view("out"),
      positions: view("positions"),
      invFreq: view("invFreq"),
      rows,
      half,
      factor: rows === 3 ? 1.25 : 1,
    }),
    outputs: { out: close("f32", 1e-6, 1e-6) },
  }));
}

function ropeCases(): KernelCase<"rope">[] {
  const random = createRandom(17);
  const shapes = [
    [0, 2, 8, 4],
    [1, 1, 2, 1],
    [3, 2, 14, 7],
    [13, 3, 16, 8],
    [17, 1, 80, 40],
    [7, 5, 33, 13],
    [31, 2, 64, 32],
    [2, 7, 100, 17],
  ] as const;
  const types = [
    ["f32", "f32"],
    ["bf16", "bf16"],
    ["f32", "bf16"],
    ["bf16", "f32"],
  ] as const;
  const cases: KernelCase<"rope">[] = [];
  for (const [rows, heads, dim, half] of shapes) {
    const angles = random.normals(rows * half, 3);
    const table = new Float32Array(rows * 2 * half);
    angles.forEach((angle, i) => {
      const at = Math.floor(i / half) * 2 * half + (i % half);
      table[at] = Math.cos(angle);
      table[at + half] = Math.sin(angle);
    });
    for (const [type, outType] of types) {
      for (const inverse of [0, 1]) {
        for (const inPlace of type === outType ? [false, true] : [false]) {
          const x = floats(random.normals(rows * heads * dim), type);
          const out = inPlace ? "x" : "out";
          const outputs: Record<string, CaseBuffer> = inPlace ? {} : { out: unset(x.data.length, outType) };
          cases.push({
            name: `(${rows}, ${heads}, ${dim}) half ${half} ${type} to ${outType}${inverse ? ", inverse" : ""}${inPlace ? ", in place" : ""}`,
            buffers: { ...outputs, x, table: floats(table) },
            args: (view) => ({ out: view(out), x: view("x"), table: view("table"), rows, heads, dim, half, inverse }),
            outputs: { [out]: close(outType, 1e-6) },
          });
        }
      }
    }
  }
  return cases;
}

interface AttentionChoice {
  lengths: readonly number[];
  heads: number;
  kvHeads: number;
  dim: number;
  /** separate: q, k, v apart; packed: Bloom's [head][query, key, value][dim]; fused: [query heads | key heads | value heads][dim]. */
  layout: "separate" | "packed" | "fused";
  alibi?: boolean;
  softCap?: number;
  window?: number;
  /** Standard deviation of q; scores grow with it. */
  size?: number;
}

const ATTENTION: readonly AttentionChoice[] = [
  { lengths: [0], heads: 2, kvHeads: 1, dim: 8, layout: "separate" },
  { lengths: [1], heads: 1, kvHeads: 1, dim: 1, layout: "separate" },
  { lengths: [1, 1, 1], heads: 3, kvHeads: 3, dim: 7, layout: "separate" },
  { lengths: [13], heads: 4, kvHeads: 2, dim: 16, layout: "separate" },
  { lengths: [5, 1, 33], heads: 6, kvHeads: 2, dim: 33, layout: "fused" },
  { lengths: [64, 1, 2], heads: 14, kvHeads: 2, dim: 64, layout: "separate" },
  { lengths: [100], heads: 2, kvHeads: 1, dim: 128, layout: "separate" },
  { lengths: [31, 17], heads: 3, kvHeads: 3, dim: 80, layout: "fused" },
  { lengths: [2, 0, 3], heads: 2, kvHeads: 2, dim: 3, layout: "separate" },
  { lengths: [17, 1], heads: 4, kvHeads: 4, dim: 16, layout: "packed", alibi: true },
  { lengths: [100], heads: 2, kvHeads: 2, dim: 64, layout: "packed", alibi: true },
  { lengths: [7, 64], heads: 2, kvHeads: 2, dim: 31, layout: "packed" },
  { lengths: [33, 13], heads: 4, kvHeads: 2, dim: 17, layout: "separate", window: 1 },
  { lengths: [33, 13], heads: 4, kvHeads: 2, dim: 32, layout: "separate", window: 4 },
  { lengths: [100, 31], heads: 2, kvHeads: 1, dim: 64, layout: "fused", window: 40 },
  { lengths: [33, 2], heads: 4, kvHeads: 2, dim: 16, layout: "separate", softCap: 2 },
  { lengths: [260, 40], heads: 4, kvHeads: 2, dim: 12, layout: "separate", softCap: 5, window: 66 },
  { lengths: [64], heads: 2, kvHeads: 2, dim: 64, layout: "separate", softCap: 50, window: 17, alibi: true, size: 8 },
  { lengths: [100], heads: 2, kvHeads: 1, dim: 16, layout: "separate", size: 10 },
  { lengths: [300], heads: 1, kvHeads: 1, dim: 8, layout: "separate" },
];

/** dtypes of q, k, v; of the output and its gradient; whether products take bf16 factors. */
const ATTENTION_TYPES: readonly [qkv: DType, out: DType, bf16: boolean][] = [
  ["f32", "f32", false],
  ["bf16", "bf16", false],
  ["bf16", "f32", false],
  ["bf16", "bf16", true],
];

/** Inputs and arguments that attention and its gradient share; `part` places q, k and v in their buffers. */
function attentionInputs(random: Random, choice: AttentionChoice, qkv: DType, bf16: boolean) {
  const { lengths, heads, kvHeads, dim, layout, alibi = false, softCap = 0, window = 0, size = 1 } = choice;
  const rows = lengths.reduce((total, length) => total + length, 0);
  const offsets = [0];
  for (const length of lengths) offsets.push(offsets.at(-1)! + length);
  const width = (heads + 2 * kvHeads) * dim;
  const layouts = {
    separate: {
      qStride: heads * dim,
      qHead: dim,
      kStride: kvHeads * dim,
      kHead: dim,
      vStride: kvHeads * dim,
      vHead: dim,
    },
    packed: { qStride: width, qHead: 3 * dim, kStride: width, kHead: 3 * dim, vStride: width, vHead: 3 * dim },
    fused: { qStride: width, qHead: dim, kStride: width, kHead: dim, vStride: width, vHead: dim },
  };
  const sizes: Record<string, number> =
    layout === "separate"
      ? { q: rows * heads * dim, k: rows * kvHeads * dim, v: rows * kvHeads * dim }
      : { qkv: rows * width };
  const place = { separate: [0, 0, 0], packed: [0, dim, 2 * dim], fused: [0, heads * dim, (heads + kvHeads) * dim] }[
    layout
  ];
  const buffers: Record<string, CaseBuffer> = { segments: ints(offsets) };
  for (const [name, count] of Object.entries(sizes))
    buffers[name] = floats(random.normals(count, name === "q" ? size : 1), qkv);
  if (alibi) buffers["slopes"] = floats(Array.from({ length: heads }, (_, h) => 2 ** (-h - 1)));
  const part = (view: ViewOf, prefix = ""): { q: View; k: View; v: View } => {
    // No rows: a view past the end of an empty buffer would be no view at all.
    const at = (index: number, name: string) =>
      view(prefix + (layout === "separate" ? name : "qkv"), rows === 0 ? 0 : place[index]);
    return { q: at(0, "q"), k: at(1, "k"), v: at(2, "v") };
  };
  const args = (view: ViewOf) => ({
    ...part(view),
    ...layouts[layout],
    segments: view("segments"),
    slopes: alibi ? view("slopes") : undefined,
    segmentCount: lengths.length,
    rows,
    heads,
    kvHeads,
    dim,
    scale: 1 / Math.sqrt(dim),
    softCap,
    window,
    compute: bf16 ? 1 : 0,
  });
  const options = [
    alibi ? "ALiBi" : "",
    softCap ? `cap ${softCap}` : "",
    window ? `window ${window}` : "",
    size > 1 ? "large scores" : "",
    bf16 ? "in bf16" : "",
  ];
  const name = [
    `segments ${lengths.join("+")}, ${heads}/${kvHeads} heads of ${dim}, ${layout} ${qkv}`,
    ...options.filter((o) => o !== ""),
  ].join(", ");
  return { name, rows, buffers, sizes, part, args };
}

function attentionCases(): KernelCase<"attention">[] {
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

function attentionBackwardCases(): KernelCase<"attentionBackward">[] {
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

/** Places of rows in a cache: no two the same, out of order. */
const CACHED: readonly { slots: number[]; positions: number[]; slotCount: number; capacity: number }[] = [
  { slots: [], positions: [], slotCount: 1, capacity: 4 },
  { slots: [0], positions: [0], slotCount: 1, capacity: 1 },
  { slots: [2, 0, 1], positions: [5, 0, 63], slotCount: 3, capacity: 64 },
  { slots: [1, 1, 1, 0], positions: [70, 69, 199, 128], slotCount: 2, capacity: 200 },
];

const CACHED_HEADS: readonly {
  heads: number;
  kvHeads: number;
  dim: number;
  packed?: boolean;
  softCap?: number;
  window?: number;
  slopes?: boolean;
}[] = [
  { heads: 4, kvHeads: 2, dim: 16 },
  { heads: 7, kvHeads: 1, dim: 64 },
  { heads: 6, kvHeads: 6, dim: 20, packed: true, slopes: true },
  { heads: 2, kvHeads: 1, dim: 8, softCap: 3, window: 17 },
];

const PLACE_TYPES: readonly [x: DType, cache: DType][] = [
  ["f32", "f32"],
  ["bf16", "bf16"],
  ["f32", "bf16"],
];

function cacheRowsCases(): KernelCase<"cacheRows">[] {
  const random = createRandom(27);
  return CACHED.flatMap(({ slots, positions, slotCount, capacity }) =>
    CACHED_HEADS.flatMap(({ kvHeads: heads, dim, packed }) =>
      PLACE_TYPES.map(([x, cache]): KernelCase<"cacheRows"> => {
        const rows = slots.length;
        const xHead = packed ? 3 * dim : dim;
        return {
          name: `${rows} rows of ${heads} heads of ${dim}${packed ? ", packed" : ""}, ${x} to ${cache}`,
          buffers: {
            cache: floats(random.normals(slotCount * heads * capacity * dim), cache),
            x: floats(random.normals(rows * heads * xHead), x),
            ...{ slots: ints(slots), positions: ints(positions) },
          },
          args: (view) => ({
            ...{ cache: view("cache"), x: view("x"), slots: view("slots"), positions: view("positions") },
            ...{ slotCount, capacity, rows, heads, dim, xStride: heads * xHead, xHead },
          }),
          outputs: { cache: EXACT },
        };
      }),
    ),
  );
}

function attentionCachedCases(): KernelCase<"attentionCached">[] {
  const random = createRandom(28);
  return CACHED.flatMap(({ slots, positions, slotCount, capacity }) =>
    CACHED_HEADS.flatMap(({ heads, kvHeads, dim, packed, softCap = 0, window = 0, slopes }) =>
      PLACE_TYPES.map(([out, cache]): KernelCase<"attentionCached"> => {
        const rows = slots.length;
        const qHead = packed ? 3 * dim : dim;
        const size = slotCount * kvHeads * capacity * dim;
        return {
          name: `${rows} rows of ${heads}/${kvHeads} heads of ${dim}${packed ? ", packed" : ""}${softCap ? ", capped, window" : ""}${slopes ? ", ALiBi" : ""}, ${cache} to ${out}`,
          buffers: {
            out: unset(rows * heads * dim, out),
            q: floats(random.normals(rows * heads * qHead), out),
            ...{ keys: floats(random.normals(size), cache), values: floats(random.normals(size), cache) },
            ...{ slots: ints(slots), positions: ints(positions) },
            ...(slopes ? { slopes: floats(Float32Array.from({ length: heads }, (_, h) => 2 ** -(h + 1))) } : {}),
          },
          args: (view) => ({
            ...{ out: view("out"), q: view("q"), keys: view("keys"), values: view("values") },
            ...{ slots: view("slots"), positions: view("positions"), slopes: slopes ? view("slopes") : undefined },
            ...{ slotCount, capacity, rows, heads, kvHeads, dim, qStride: heads * qHead, qHead },
            ...{ scale: 1 / Math.sqrt(dim), softCap, window },
          }),
          outputs: { out: close(out, 2e-5) },
        };
      }),
    ),
  );
}

const SPECIAL_INPUTS = [NaN, 0, -0, 30, -30, 88, -88, 200, -200, 1e-4, -1e-4];

function activationCases(): KernelCase<"activation">[] {
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

function activationBackwardCases(): KernelCase<"activationBackward">[] {
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

const DRAWS = [
  { p: 0.1, seed: 42, step: 1, microStep: 0, site: 0 },
  { p: 0.5, seed: 2 ** 40 + 7, step: 100_000, microStep: 3, site: 77 },
  { p: 0, seed: 0, step: 0, microStep: 0, site: 0 },
  { p: 0.9, seed: 2 ** 32 - 1, step: 2, microStep: 65_535, site: 65_535 },
];

/** Numbers that stay as they are where factors are rounded to bf16. */
function factors(values: Float32Array, dtype: DType = "f32"): CaseBuffer {
  return floats(
    values.map((value) => roundTo("bf16", value)),
    dtype,
  );
}

/** Every draw with every shape, input dtype and precision of the products, and some of the ranks. */
function loraChoices() {
  return SHAPES.flatMap(([rows, cols]) =>
    DRAWS.flatMap((draw, i) =>
      (["f32", "bf16"] as const).flatMap((dtype) =>
        [0, 1].map((compute) => ({ rows, cols, draw, dtype, compute, rank: [1, 8, 3, 33][i] ?? 1, index: i })),
      ),
    ),
  );
}

function loraDownCases(): KernelCase<"loraDown">[] {
  const random = createRandom(22);
  return loraChoices().map(({ rows, cols, draw, dtype, compute, rank }) => ({
    name: `(${rows}, ${cols}) ${dtype}, rank ${rank}, p ${draw.p}, seed ${draw.seed}, compute ${compute}`,
    buffers: {
      out: unset(rows * rank),
      x: factors(random.normals(rows * cols), dtype),
      a: factors(random.normals(rank * cols)),
    },
    args: (view) => ({ out: view("out"), x: view("x"), a: view("a"), rows, cols, rank, scale: 1.5, compute, ...draw }),
    outputs: { out: close("f32", 2e-4, 2e-5) },
  }));
}

function loraDownBackwardCases(): KernelCase<"loraDownBackward">[] {
  const random = createRandom(23);
  return loraChoices().map(({ rows, cols, draw, dtype, compute, rank, index }) => {
    const only = (rows + index) % 3; // both results, or one alone
    return {
      name: `(${rows}, ${cols}) ${dtype}, rank ${rank}, p ${draw.p}, ${["both", "dA", "mask"][only]}, compute ${compute}`,
      buffers: {
        dA: floats(random.normals(rank * cols)),
        mask: ints(new Array<number>(rows * Math.ceil(cols / 32)).fill(0)),
        du: factors(random.normals(rows * rank)),
        x: factors(random.normals(rows * cols), dtype),
      },
      args: (view) => ({
        dA: only === 2 ? undefined : view("dA"),
        mask: only === 1 ? undefined : view("mask"),
        du: view("du"),
        x: view("x"),
        rows,
        cols,
        rank,
        compute,
        ...draw,
      }),
      outputs: { dA: close("f32", 2e-4, 2e-5), mask: EXACT },
    };
  });
}

function loraUpBackwardCases(): KernelCase<"loraUpBackward">[] {
  const random = createRandom(24);
  return loraChoices().map(({ rows, cols, dtype, compute, rank, index }) => ({
    name: `(${rows}, ${cols}) ${dtype}, rank ${rank}${index % 2 === 0 ? "" : ", du alone"}, compute ${compute}`,
    buffers: {
      du: unset(rows * rank),
      dB: floats(random.normals(cols * rank)),
      dy: factors(random.normals(rows * cols), dtype),
      u: factors(random.normals(rows * rank)),
      b: factors(random.normals(cols * rank)),
    },
    args: (view) => ({
      du: view("du"),
      dB: index % 2 === 0 ? view("dB") : undefined,
      dy: view("dy"),
      u: view("u"),
      b: view("b"),
      rows,
      cols,
      rank,
      scale: 1.5,
      compute,
    }),
    outputs: { du: close("f32", 2e-4, 2e-5), dB: close("f32", 2e-4, 2e-5) },
  }));
}

interface HeadChoice {
  rows: number;
  cols: number;
  vocab: number;
  labels?: "all skipped" | "all kept";
  softCap?: number;
}

const HEADS: readonly HeadChoice[] = [
  { rows: 0, cols: 8, vocab: 10 },
  { rows: 1, cols: 1, vocab: 1, labels: "all kept" },
  { rows: 1, cols: 64, vocab: 100, labels: "all kept" },
  { rows: 3, cols: 7, vocab: 2 },
  { rows: 13, cols: 33, vocab: 100, labels: "all skipped" },
  { rows: 17, cols: 31, vocab: 64 },
  { rows: 33, cols: 100, vocab: 333 },
  { rows: 64, cols: 17, vocab: 31, softCap: 3 },
  { rows: 7, cols: 16, vocab: 5000 },
  { rows: 100, cols: 13, vocab: 33, softCap: 30 },
  { rows: 600, cols: 8, vocab: 17 },
];

/** dtypes of hidden states and weight; whether products take bf16 factors. */
const HEAD_TYPES: readonly [hidden: DType, weight: DType, bf16: boolean][] = [
  ["f32", "f32", false],
  ["bf16", "bf16", false],
  ["f32", "bf16", false],
  ["f32", "f16", false],
  ["bf16", "bf16", true],
  ["f32", "bf16", true],
];

function headInputs(random: Random, choice: HeadChoice, hiddenType: DType, weightType: DType, bf16: boolean) {
  const { rows, cols, vocab, labels: kind, softCap = 0 } = choice;
  const store = rows % 2 === 1 ? mapped : floats; // a frozen head lies in its file
  const skip = (): boolean => kind === "all skipped" || (kind !== "all kept" && random.uniform() < 0.3);
  const labels = Array.from({ length: rows }, () => (skip() ? -100 : random.below(vocab)));
  return {
    name: `(${rows}, ${cols}) over ${vocab}, ${hiddenType} x ${weightType}${kind === undefined ? "" : `, ${kind}`}${softCap ? `, cap ${softCap}` : ""}${bf16 ? ", in bf16" : ""}`,
    buffers: {
      hidden: floats(random.normals(rows * cols), hiddenType),
      weight: store(random.normals(vocab * cols, 1 / Math.sqrt(cols)), weightType),
      labels: ints(labels),
    },
    // The log-sum-exp of a skipped row means nothing.
    open: new Set(labels.flatMap((label, row) => (label === -100 ? [row] : []))),
    shape: { rows, cols, vocab, softCap, compute: bf16 ? 1 : 0 },
  };
}

function linearCrossEntropyCases(): KernelCase<"linearCrossEntropy">[] {
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

function linearCrossEntropyWeightBackwardCases(): KernelCase<"linearCrossEntropyWeightBackward">[] {
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

function clipGradNormCases(): KernelCase<"clipGradNorm">[] {
  const random = createRandom(25);
  const clip = (name: string, grads: CaseBuffer, maxNorm: number): KernelCase<"clipGradNorm"> => ({
    name: `${name}, at most ${maxNorm}`,
    buffers: { out: unset(2), grads },
    args: (view) => ({ out: view("out"), grads: view("grads"), count: grads.data.length, maxNorm }),
    outputs: { out: { absolute: 1e-9, relative: 2e-7 } }, // summed in f64
  });
  return [
    ...[0, ...SIZES, 65_536, 131_075].flatMap((count) =>
      [0, 1, 1e6].map((maxNorm) => clip(`${isZero(count)} gradients`, floats(random.normals(count)), maxNorm)),
    ),
    clip("squares beyond f32", floats([1e30, 2e30]), 1),
    clip("a NaN", floats([1, NaN]), 1),
    clip("an infinity", floats([1, Infinity]), 1),
  ];
}

function adamWCases(): KernelCase<"adamW">[] {
  const random = createRandom(26);
  const settings = [
    { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0, step: 1 },
    { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.05, step: 2 },
    { lr: 2e-4, beta1: 0.9, beta2: 0.95, eps: 1e-6, weightDecay: 0.1, step: 1000 },
    { lr: 0, beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.1, step: 1 },
  ];
  return [0, ...SIZES, 5000].flatMap((count) =>
    settings.map((setting, i): KernelCase<"adamW"> => {
      const scaled = (count + i) % 2 === 0;
      const first = setting.step === 1;
      return {
        name: `${isZero(count)} parameters, step ${setting.step}, lr ${setting.lr}${scaled ? ", scaled" : ""}`,
        buffers: {
          params: floats(random.normals(count)),
          grads: floats(random.normals(count)),
          expAvg: floats(first ? new Float32Array(count) : random.normals(count, 0.1)),
          expAvgSq: floats(first ? new Float32Array(count) : random.normals(count).map((value) => value * value)),
          gradScale: floats([0.31]),
        },
        args: (view) => ({
          params: view("params"),
          grads: view("grads"),
          expAvg: view("expAvg"),
          expAvgSq: view("expAvgSq"),
          gradScale: scaled ? view("gradScale") : undefined,
          count,
          ...setting,
        }),
        outputs: {
          params: close("f32", 1e-6, 1e-6),
          expAvg: close("f32", 1e-7, 1e-6),
          expAvgSq: close("f32", 1e-9, 1e-6),
        },
      };
    }),
  );
}

export const KERNEL_CASES: { readonly [K in KernelName]: () => readonly KernelCase<K>[] } = {
  fill: fillCases,
  copy: copyCases,
  add: addCases,
  scale: scaleCases,
  scaleRows: scaleRowsCases,
  softCap: softCapCases,
  sum: sumCases,
  sumRows: sumRowsCases,
  argMax: argMaxCases,
  matMul: matMulCases,
  embedding: embeddingCases,
  embeddingBackward: embeddingBackwardCases,
  rmsNorm: rmsNormCases,
  rmsNormBackward: rmsNormBackwardCases,
  layerNorm: layerNormCases,
  layerNormBackward: layerNormBackwardCases,
  ropeTable: ropeTableCases,
  rope: ropeCases,
  attention: attentionCases,
  attentionBackward: attentionBackwardCases,
  cacheRows: cacheRowsCases,
  attentionCached: attentionCachedCases,
  activation: activationCases,
  activationBackward: activationBackwardCases,
  loraDown: loraDownCases,
  loraDownBackward: loraDownBackwardCases,
  loraUpBackward: loraUpBackwardCases,
  linearCrossEntropy: linearCrossEntropyCases,
  linearCrossEntropyWeightBackward: linearCrossEntropyWeightBackwardCases,
  clipGradNorm: clipGradNormCases,
  adamW: adamWCases,
};
