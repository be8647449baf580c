import type { KernelArgs } from "../kernels.js";
import { extent, type Floats, type JsMemory } from "./memory.js";

/** A MatMulTerm whose views are resolved. */
export interface Product {
  a: Floats;
  lda: number;
  aTrans: boolean;
  b: Floats;
  ldb: number;
  bTrans: boolean;
  k: number;
  scale: number;
  mask?: Int32Array | undefined;
}

interface Result {
  out: Floats;
  ldc: number;
  m: number;
  n: number;
  bias?: Floats | undefined;
  accumulate: boolean;
}

export function matMul(memory: JsMemory, args: KernelArgs<"matMul">): void {
  const { m, n, ldc } = args;
  const terms = args.terms.map((term) => {
    const { k, lda, ldb, aTrans, bTrans, scale } = term;
    const a = memory.floats(term.a, m === 0 ? 0 : aTrans ? extent(k, lda, m) : extent(m, lda, k));
    const b = memory.floats(term.b, n === 0 ? 0 : bTrans ? extent(n, ldb, k) : extent(k, ldb, n));
    const mask = term.mask && memory.ints(term.mask, m * Math.ceil(n / 32));
    return { a, lda, aTrans, b, ldb, bTrans, k, scale, mask };
  });
  if (args.accumulate !== 0 && terms.some(({ mask }) => mask !== undefined))
    throw new RangeError("a masked term cannot be added to out");
  const out = memory.output(args.out, extent(m, ldc, n));
  const bias = args.bias && memory.floats(args.bias, n);
  sumOfProducts({ out, ldc, m, n, bias, accumulate: args.accumulate !== 0 }, terms);
}

/** Columns worked on at once: their part of B stays in the cache while every row of A passes over it. */
const BLOCK = 64;

/** out = [out] + sum of scale * op(A) . op(B) + [bias], one row and one block of columns at a time, summed in f64. */
export function sumOfProducts(result: Result, terms: readonly Product[]): void {
  const { out, ldc, m, n, bias, accumulate } = result;
  const sums = new Float64Array(BLOCK);
  const masked = new Float64Array(BLOCK);
  const factors = new Float64Array(Math.max(0, ...terms.map((term) => term.k)));
  for (let start = 0; start < n; start += BLOCK) {
    const columns = Math.min(BLOCK, n - start);
    for (let i = 0; i < m; i++) {
      sums.fill(0);
      for (const { a, lda, aTrans, b, ldb, bTrans, k, scale, mask } of terms) {
        for (let p = 0; p < k; p++) factors[p] = scale * a[aTrans ? p * lda + i : i * lda + p]!;
        const into = mask === undefined ? sums : masked.fill(0);
        if (bTrans) addDotProducts(into, columns, factors, k, b, start, ldb);
        else addScaledRows(into, columns, factors, k, b, start, ldb);
        if (mask === undefined) continue;
        for (let j = 0; j < columns; j++) {
          const word = mask[i * Math.ceil(n / 32) + Math.floor((start + j) / 32)]!;
          if ((word >>> ((start + j) % 32)) & 1) sums[j]! += masked[j]!;
        }
      }
      for (let j = 0; j < columns; j++) {
        const at = i * ldc + start + j;
        out[at] = (accumulate ? out[at]! : 0) + sums[j]! + (bias === undefined ? 0 : bias[start + j]!);
      }
    }
  }
}

/** sums[j] += factors . row (start + j) of B (n, k), four rows at a time. */
function addDotProducts(
  sums: Float64Array,
  columns: number,
  factors: Float64Array,
  k: number,
  b: Floats,
  start: number,
  ldb: number,
): void {
  let j = 0;
  for (; j + 4 <= columns; j += 4) {
    const row0 = (start + j) * ldb;
    const row1 = row0 + ldb;
    const row2 = row1 + ldb;
    const row3 = row2 + ldb;
    let sum0 = 0;
    let sum1 = 0;
    let sum2 = 0;
    let sum3 = 0;
    for (let p = 0; p < k; p++) {
      const factor = factors[p]!;
      sum0 += factor * b[row0 + p]!;
      sum1 += factor * b[row1 + p]!;
      sum2 += factor * b[row2 + p]!;
      sum3 += factor * b[row3 + p]!;
    }
    sums[j]! += sum0;
    sums[j + 1]! += sum1;
    sums[j + 2]! += sum2;
    sums[j + 3]! += sum3;
  }
  for (; j < columns; j++) {
    const row = (start + j) * ldb;
    let sum = 0;
    for (let p = 0; p < k; p++) sum += factors[p]! * b[row + p]!;
    sums[j]! += sum;
  }
}

/** sums += factors[p] * row p of B (k, n) from column start on, four rows at a time. */
function addScaledRows(
  sums: Float64Array,
  columns: number,
  factors: Float64Array,
  k: number,
  b: Floats,
  start: number,
  ldb: number,
): void {
  let p = 0;
  for (; p + 4 <= k; p += 4) {
    const row0 = p * ldb + start;
    const row1 = row0 + ldb;
    const row2 = row1 + ldb;
    const row3 = row2 + ldb;
    const factor0 = factors[p]!;
    const factor1 = factors[p + 1]!;
    const factor2 = factors[p + 2]!;
    const factor3 = factors[p + 3]!;
    for (let j = 0; j < columns; j++) {
      sums[j]! += factor0 * b[row0 + j]! + factor1 * b[row1 + j]! + factor2 * b[row2 + j]! + factor3 * b[row3 + j]!;
    }
  }
  for (; p < k; p++) {
    const row = p * ldb + start;
    for (let j = 0; j < columns; j++) sums[j]! += factors[p]! * b[row + j]!;
  }
}
