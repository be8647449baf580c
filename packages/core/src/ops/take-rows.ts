import { record } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, zeros, type Tensor } from "../tensor/tensor.js";
import { rowsOf } from "./rows.js";

/**
 * Some rows of a matrix, in any order and as often as wanted; the gradient of each goes back to where it came from.
 * @param x (tokens, hidden)
 * @param rows (count) i32, each in [0, tokens)
 * @returns (count, hidden) in the dtype of x
 */
export const takeRows = op("takeRows", (x: Tensor, rows: Tensor): Tensor => {
  const [vocab, cols] = rowsOf(x);
  const count = rows.size;
  const { backend, dtype } = x;
  const shape = { rows: count, cols, vocab, factor: 1 };
  const out = empty(backend, [count, cols], dtype);
  backend.kernels.embedding({ out, table: x, ids: rows, ...shape });
  record("takeRows", { inputs: [x], constants: { rows } }, [out], [rows], ([dOut], [ids]) => {
    if (dOut === undefined || ids === undefined) return [];
    const dTable = zeros(backend, [vocab, cols], "f32");
    backend.kernels.embeddingBackward({ dTable, dOut, ids, ...shape, padding: -1 });
    if (dtype === "f32") return [dTable];
    const dx = empty(backend, [vocab, cols], dtype);
    backend.kernels.copy({ out: dx, x: dTable, count: dx.size });
    return [dx];
  });
  return out;
});
