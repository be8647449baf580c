import { MedgptError } from "@medgpt/artifacts";
import { currentOp } from "../tensor/scope.js";
import type { Tensor } from "../tensor/tensor.js";

/** An op was given shapes that do not go together. */
export class ShapeError extends MedgptError {
  constructor(message: string) {
    super(`${currentOp()}: ${message}`);
  }
}

/** Rows and columns of a matrix. */
export function rowsOf(x: Tensor, name = "x"): readonly [rows: number, cols: number] {
  const [rows, cols] = x.shape;
  if (rows === undefined || cols === undefined || x.shape.length !== 2)
    throw new ShapeError(`${name} must be a matrix, got shape (${x.shape.join(", ")})`);
  return [rows, cols];
}

/** Fails unless `x` has exactly this shape. */
export function expectShape(x: Tensor | undefined, shape: readonly number[], name: string): void {
  if (x !== undefined && (x.shape.length !== shape.length || x.shape.some((extent, axis) => extent !== shape[axis])))
    throw new ShapeError(`${name} must have shape (${shape.join(", ")}), got (${x.shape.join(", ")})`);
}
