import { gradOf, record } from "../tensor/autograd.js";
import type { DType } from "../numeric/dtype.js";
import { op } from "../tensor/scope.js";
import { empty, type Tensor } from "../tensor/tensor.js";
import { rowsOf } from "./rows.js";

export interface EmbeddingOptions {
  readonly dtype?: DType;
  readonly factor?: number;
  readonly padding?: number | undefined;
}

/**
 * Rows of a table.
 * @param table (vocab, hidden)
 * @param ids (tokens) i32, each in [0, vocab)
 * @param factor multiplies every element (Gemma's sqrt(hidden)), default 1
 * @param padding an id whose row of the table gets no gradient, as torch.nn.Embedding's padding_idx; by default none
 * @returns (tokens, hidden)
 */
export const embedding = op(
  "embedding",
  (table: Tensor, ids: Tensor, { dtype = "f32", factor = 1, padding = -1 }: EmbeddingOptions = {}): Tensor => {
    const [vocab, cols] = rowsOf(table, "table");
    const rows = ids.size;
    const out = empty(ids.backend, [rows, cols], dtype);
    const shape = { rows, cols, vocab, factor };
    ids.backend.kernels.embedding({ out, table, ids, ...shape });
    record("embedding", { weights: { table }, constants: { ids } }, [out], [ids], ([dOut], [savedIds]) => {
      const dTable = gradOf(table);
      if (dOut !== undefined && savedIds !== undefined && dTable !== undefined)
        dOut.backend.kernels.embeddingBackward({ dTable, dOut, ids: savedIds, ...shape, padding });
      return [];
    });
    return out;
  },
);
