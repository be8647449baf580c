import type { KernelArgs } from "../kernels.js";
import type { JsMemory } from "./memory.js";

export function embedding(memory: JsMemory, args: KernelArgs<"embedding">): void {
  const { rows, cols, vocab, factor } = args;
  const out = memory.output(args.out, rows * cols);
  const table = memory.floats(args.table, vocab * cols);
  const ids = checkIds(memory.ints(args.ids, rows), vocab);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) out[r * cols + c] = table[ids[r]! * cols + c]! * factor;
  }
}

export function embeddingBackward(memory: JsMemory, args: KernelArgs<"embeddingBackward">): void {
  const { rows, cols, vocab, factor, padding } = args;
  const dTable = memory.output(args.dTable, vocab * cols);
  const dOut = memory.floats(args.dOut, rows * cols);
  const ids = checkIds(memory.ints(args.ids, rows), vocab);
  for (let r = 0; r < rows; r++) {
    if (ids[r] === padding) continue;
    for (let c = 0; c < cols; c++) dTable[ids[r]! * cols + c]! += dOut[r * cols + c]! * factor;
  }
}

function checkIds(ids: Int32Array, vocab: number): Int32Array {
  for (const [row, id] of ids.entries()) {
    if (id < 0 || id >= vocab) throw new Error(`id ${id} in row ${row} is not in the vocabulary of ${vocab}`);
  }
  return ids;
}
