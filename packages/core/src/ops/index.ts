export { activation } from "./activation.js";
export { add } from "./add.js";
export { attention, attentionPacked, type AttentionOptions, type Compute, type Packing } from "./attention.js";
export {
  attentionCached,
  cacheRows,
  packedHeads,
  type CachedAttentionOptions,
  type HeadView,
  type KeyValues,
  type Places,
} from "./attention-cached.js";
export { embedding } from "./embedding.js";
export { linear, type DropoutDraw, type LoraFactors, type Projection } from "./linear.js";
export { linearCrossEntropy, type CrossEntropyOptions } from "./linear-cross-entropy.js";
export { layerNorm, rmsNorm } from "./norm.js";
export { rope, ropeTable } from "./rope.js";
export { ShapeError } from "./rows.js";
export { sum } from "./sum.js";
export { takeRows } from "./take-rows.js";
