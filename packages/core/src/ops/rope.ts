import { record, refuseGradients } from "../tensor/autograd.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { expectShape, rowsOf, ShapeError } from "./rows.js";

/**
 * Cosines and sines of every token's position, to be shared by all layers.
 * @param positions (tokens) i32
 * @param invFreq (half) f32
 * @param factor multiplies both (yarn's attention factor), default 1
 * @returns (tokens, 2 * half) f32, [cos | sin]
 */
export const ropeTable = op("ropeTable", (positions: Tensor, invFreq: Tensor, factor: number = 1): Tensor => {
  refuseGradients("ropeTable", { positions, invFreq });
  const rows = positions.size;
  const half = invFreq.size;
  const out = empty(positions.backend, [rows, 2 * half], "f32");
  positions.backend.kernels.ropeTable({ out, positions, invFreq, rows, half, factor });
  return out;
});

/**
 * Rotary position embedding in the rotate_half layout (Su et al. 2021, arXiv:2104.09864).
 * @param x (tokens, heads * dim)
 * @param table (tokens, 2 * half) of ropeTable; elements of a head from 2 * half on pass through
 */
export const rope = op("rope", (x: Tensor, table: Tensor, heads: number): Tensor => {
  const [rows, cols] = rowsOf(x);
  const half = rowsOf(table, "table")[1] / 2;
  const dim = cols / heads;
  expectShape(table, [rows, 2 * half], "table");
  if (!Number.isInteger(dim) || 2 * half > dim)
    throw new ShapeError(`${cols} columns do not hold ${heads} heads of at least ${2 * half}`);
  const rotate = (x: Tensor, table: Tensor, inverse: 0 | 1): Tensor => {
    const out = empty(x.backend, x.shape, x.dtype);
    x.backend.kernels.rope({ out, x, table, rows, heads, dim, half, inverse });
    return out;
  };
  const out = rotate(x, table, 0);
  record("rope", { inputs: [x], constants: { table } }, [out], [table], ([dOut], [table]) => [
    dOut && table && rotate(dOut, table, 1),
  ]);
  return out;
});
