/**
 * Causal attention one query at a time: its scores, their softmax in two passes, the weighted sum of values. The gradient
 * draws the probabilities again from the log-sum-exp.
 */
import type { KernelArgs } from "../kernels.js";
import { extent, type Floats, type JsMemory } from "./memory.js";

type Geometry = Omit<KernelArgs<"attention">, "out" | "lse">;

/** The arguments that both directions share, with their views resolved. */
function resolveInputs(memory: JsMemory, args: Geometry) {
  const { rows, heads, kvHeads, segmentCount } = args;
  if (heads % kvHeads !== 0) throw new Error(`${heads} query heads cannot share ${kvHeads} key heads evenly`);
  const segments = memory.ints(args.segments, segmentCount + 1);
  if (
    segments[0] !== 0 ||
    segments[segmentCount] !== rows ||
    segments.some((start, i) => start > (segments[i + 1] ?? rows))
  ) {
    throw new Error(`segments must rise from 0 to the ${rows} rows; they are ${segments.join(", ")}`);
  }
  return {
    segments,
    q: memory.floats(args.q, extentOf(args, heads, args.qStride, args.qHead)),
    k: memory.floats(args.k, extentOf(args, kvHeads, args.kStride, args.kHead)),
    v: memory.floats(args.v, extentOf(args, kvHeads, args.vStride, args.vHead)),
    slopes: args.slopes && memory.floats(args.slopes, heads),
  };
}

/** Elements that q, k or v spans: the last token's last head ends it. */
function extentOf({ rows, dim }: Geometry, heads: number, stride: number, headStride: number): number {
  return extent(rows, stride, extent(heads, headStride, dim));
}

/** The first key that query i of a segment sees. */
function firstKey(i: number, window: number): number {
  return window > 0 ? Math.max(0, i - window + 1) : 0;
}

function dot(a: Floats, aStart: number, b: Floats, bStart: number, count: number): number {
  let sum = 0;
  for (let d = 0; d < count; d++) sum += a[aStart + d]! * b[bStart + d]!;
  return sum;
}

export function attention(memory: JsMemory, args: KernelArgs<"attention">): void {
  const { rows, heads, kvHeads, dim, segmentCount, scale, softCap, window } = args;
  const { segments, q, k, v, slopes } = resolveInputs(memory, args);
  const out = memory.output(args.out, rows * heads * dim);
  const lse = memory.output(args.lse, heads * rows);
  const scores = new Float64Array(rows);
  const weighted = new Float64Array(dim);
  for (let s = 0; s < segmentCount; s++) {
    const start = segments[s]!;
    const length = segments[s + 1]! - start;
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor((h * kvHeads) / heads);
      for (let i = 0; i < length; i++) {
        const query = (start + i) * args.qStride + h * args.qHead;
        const first = firstKey(i, window);
        let max = -Infinity;
        for (let j = first; j <= i; j++) {
          let score = dot(q, query, k, (start + j) * args.kStride + kvHead * args.kHead, dim) * scale;
          if (softCap > 0) score = softCap * Math.tanh(score / softCap);
          if (slopes !== undefined) score += slopes[h]! * (j - i);
          scores[j] = score;
          max = Math.max(max, score);
        }
        let total = 0;
        weighted.fill(0);
        for (let j = first; j <= i; j++) {
          const weight = Math.exp(scores[j]! - max);
          const value = (start + j) * args.vStride + kvHead * args.vHead;
          total += weight;
          for (let d = 0; d < dim; d++) weighted[d]! += weight * v[value + d]!;
        }
        const result = ((start + i) * heads + h) * dim;
        for (let d = 0; d < dim; d++) out[result + d] = weighted[d]! / total;
        lse[h * rows + start + i] = max + Math.log(total);
      }
    }
  }
}

/** With p the probabilities and dp = dOut . v: dScore = p * (dp - dOut . out), from which dq, dk and dv follow. */
export function attentionBackward(memory: JsMemory, args: KernelArgs<"attentionBackward">): void {
  const { rows, heads, kvHeads, dim, segmentCount, scale, softCap, window } = args;
  const { segments, q, k, v, slopes } = resolveInputs(memory, args);
  const dq = memory.output(args.dq, extentOf(args, heads, args.qStride, args.qHead));
  const dk = memory.output(args.dk, extentOf(args, kvHeads, args.kStride, args.kHead));
  const dv = memory.output(args.dv, extentOf(args, kvHeads, args.vStride, args.vHead));
  const dOut = memory.floats(args.dOut, rows * heads * dim);
  const out = memory.floats(args.out, rows * heads * dim);
  const lse = memory.floats(args.lse, heads * rows);
  for (let s = 0; s < segmentCount; s++) {
    const start = segments[s]!;
    const length = segments[s + 1]! - start;
    // Several query heads add to one key head: its sums are kept apart until they are complete.
    const keySums = new Float64Array(length * kvHeads * dim);
    const valueSums = new Float64Array(length * kvHeads * dim);
    const querySums = new Float64Array(dim);
    for (let h = 0; h < heads; h++) {
      const kvHead = Math.floor((h * kvHeads) / heads);
      for (let i = 0; i < length; i++) {
        const query = (start + i) * args.qStride + h * args.qHead;
        const result = ((start + i) * heads + h) * dim;
        const meanGradient = dot(dOut, result, out, result, dim);
        querySums.fill(0);
        for (let j = firstKey(i, window); j <= i; j++) {
          const key = (start + j) * args.kStride + kvHead * args.kHead;
          const value = (start + j) * args.vStride + kvHead * args.vHead;
          let score = dot(q, query, k, key, dim) * scale;
          let slope = scale; // d(score) / d(q . k)
          if (softCap > 0) {
            const tanh = Math.tanh(score / softCap);
            score = softCap * tanh;
            slope *= 1 - tanh * tanh;
          }
          if (slopes !== undefined) score += slopes[h]! * (j - i);
          const probability = Math.exp(score - lse[h * rows + start + i]!);
          const dProduct = slope * probability * (dot(dOut, result, v, value, dim) - meanGradient);
          const sums = (j * kvHeads + kvHead) * dim;
          for (let d = 0; d < dim; d++) {
            querySums[d]! += dProduct * k[key + d]!;
            keySums[sums + d]! += dProduct * q[query + d]!;
            valueSums[sums + d]! += probability * dOut[result + d]!;
          }
        }
        for (let d = 0; d < dim; d++) dq[query + d] = querySums[d]!;
      }
    }
    for (let j = 0; j < length; j++) {
      for (let h = 0; h < kvHeads; h++) {
        const key = (start + j) * args.kStride + h * args.kHead;
        const value = (start + j) * args.vStride + h * args.vHead;
        const sums = (j * kvHeads + h) * dim;
        for (let d = 0; d < dim; d++) {
          dk[key + d] = keySums[sums + d]!;
          dv[value + d] = valueSums[sums + d]!;
        }
      }
    }
  }
}
