/**
 * Cross entropy over the vocabulary, a chunk of tokens at a time, so that the logits of all tokens never exist at once.
 * Tokens labelled -100 are skipped.
 */
import type { KernelArgs } from "../kernels.js";
import { sumOfProducts } from "./mat-mul.js";
import type { Floats, JsMemory } from "./memory.js";

const SKIPPED = -100;

/** 32 MiB of logits in f64. */
const CHUNK_LOGITS = 2 ** 22;

interface Head {
  hidden: Floats;
  weight: Floats;
  labels: Int32Array;
  cols: number;
  vocab: number;
  softCap: number;
}

function resolveHead(
  memory: JsMemory,
  args: KernelArgs<"linearCrossEntropy"> | KernelArgs<"linearCrossEntropyWeightBackward">,
): Head {
  const { rows, cols, vocab, softCap } = args;
  const labels = memory.ints(args.labels, rows);
  for (const [row, label] of labels.entries()) {
    if (label !== SKIPPED && (label < 0 || label >= vocab)) {
      throw new Error(`label ${label} in row ${row} is neither -100 nor in the vocabulary of ${vocab}`);
    }
  }
  const hidden = memory.floats(args.hidden, rows * cols);
  const weight = memory.floats(args.weight, vocab * cols);
  return { hidden, weight, labels, cols, vocab, softCap };
}

/** Calls back with the rows that have a label, some at a time, and their soft-capped logits (tokens, vocab). */
function forEachChunk(
  { hidden, weight, labels, cols, vocab, softCap }: Head,
  visit: (rows: number[], logits: Float64Array) => void,
): void {
  const kept = [...labels.keys()].filter((row) => labels[row] !== SKIPPED);
  const size = Math.max(1, Math.floor(CHUNK_LOGITS / vocab));
  for (let start = 0; start < kept.length; start += size) {
    const rows = kept.slice(start, start + size);
    const logits = new Float64Array(rows.length * vocab);
    const states = gatherRows(hidden, rows, cols);
    sumOfProducts({ out: logits, ldc: vocab, m: rows.length, n: vocab, accumulate: false }, [
      { a: states, lda: cols, aTrans: false, b: weight, ldb: cols, bTrans: true, k: cols, scale: 1 },
    ]);
    if (softCap > 0) for (let i = 0; i < logits.length; i++) logits[i] = softCap * Math.tanh(logits[i]! / softCap);
    visit(rows, logits);
  }
}

function gatherRows(x: Floats, rows: readonly number[], cols: number): Float64Array {
  const gathered = new Float64Array(rows.length * cols);
  for (const [i, row] of rows.entries()) gathered.set(x.subarray(row * cols, (row + 1) * cols), i * cols);
  return gathered;
}

/** logits becomes the gradient of upstream * nll with respect to the logits before the soft cap. */
function toGradient(logits: Float64Array, lse: number, label: number, softCap: number, upstream: number): void {
  for (let j = 0; j < logits.length; j++) {
    const slope = softCap > 0 ? 1 - (logits[j]! / softCap) ** 2 : 1;
    logits[j] = upstream * slope * (Math.exp(logits[j]! - lse) - (j === label ? 1 : 0));
  }
}

export function linearCrossEntropy(memory: JsMemory, args: KernelArgs<"linearCrossEntropy">): void {
  const { rows: count, cols, vocab, softCap } = args;
  const head = resolveHead(memory, args);
  const nll = memory.output(args.nll, count).fill(0);
  const lse = memory.output(args.lse, count).fill(0);
  const correct = args.correct && memory.output(args.correct, count).fill(0);
  const dHidden = args.dHidden && memory.output(args.dHidden, count * cols).fill(0);
  forEachChunk(head, (rows, logits) => {
    for (const [i, row] of rows.entries()) {
      const label = head.labels[row]!;
      const line = logits.subarray(i * vocab, (i + 1) * vocab);
      let best = 0;
      for (let j = 1; j < vocab; j++) if (line[j]! > line[best]!) best = j;
      let total = 0;
      for (let j = 0; j < vocab; j++) total += Math.exp(line[j]! - line[best]!);
      const logTotal = line[best]! + Math.log(total);
      lse[row] = logTotal;
      nll[row] = logTotal - line[label]!;
      if (correct !== undefined) correct[row] = best === label ? 1 : 0;
      toGradient(line, logTotal, label, softCap, 1);
    }
    if (dHidden === undefined) return;
    const gradient = new Float64Array(rows.length * cols);
    sumOfProducts({ out: gradient, ldc: cols, m: rows.length, n: cols, accumulate: false }, [
      { a: logits, lda: vocab, aTrans: false, b: head.weight, ldb: cols, bTrans: false, k: vocab, scale: 1 },
    ]);
    for (const [i, row] of rows.entries()) dHidden.set(gradient.subarray(i * cols, (i + 1) * cols), row * cols);
  });
}

export function linearCrossEntropyWeightBackward(
  memory: JsMemory,
  args: KernelArgs<"linearCrossEntropyWeightBackward">,
): void {
  const { rows: count, cols, vocab, softCap } = args;
  const head = resolveHead(memory, args);
  const dWeight = memory.output(args.dWeight, vocab * cols);
  const lse = memory.floats(args.lse, count);
  const upstream = memory.floats(args.upstream, count);
  forEachChunk(head, (rows, logits) => {
    for (const [i, row] of rows.entries()) {
      toGradient(logits.subarray(i * vocab, (i + 1) * vocab), lse[row]!, head.labels[row]!, softCap, upstream[row]!);
    }
    sumOfProducts({ out: dWeight, ldc: cols, m: vocab, n: cols, accumulate: true }, [
      {
        a: logits,
        lda: vocab,
        aTrans: true,
        b: gatherRows(head.hidden, rows, cols),
        ldb: cols,
        bTrans: false,
        k: rows.length,
        scale: 1,
      },
    ]);
  });
}
