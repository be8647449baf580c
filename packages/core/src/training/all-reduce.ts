import type { Tensor } from "../tensor/tensor.js";

/**
 * The one seam of data parallelism. On entry `gradients` (flat f32) is that of the mean loss over this process's
 * `tokenCount` labels; on return it is that of the mean over the labels of all processes, whose number is returned.
 */
export type AllReduce = (gradients: Tensor, tokenCount: number) => Promise<number>;

/** One process: nothing to add. */
export const singleProcess: AllReduce = (_gradients, tokenCount) => Promise.resolve(tokenCount);
