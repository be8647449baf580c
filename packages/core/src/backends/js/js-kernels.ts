import type { KernelArgs, KernelName } from "../kernels.js";
import { activation, activationBackward } from "./activation.js";
import { adamW } from "./adam-w.js";
import { add } from "./add.js";
import { argMax } from "./arg-max.js";
import { attentionCached, cacheRows } from "./attention-cached.js";
import { attention, attentionBackward } from "./attention.js";
import { clipGradNorm } from "./clip-grad-norm.js";
import { copy } from "./copy.js";
import { loraDown, loraDownBackward, loraUpBackward } from "./lora.js";
import { embedding, embeddingBackward } from "./embedding.js";
import { fill } from "./fill.js";
import { layerNorm, layerNormBackward } from "./layer-norm.js";
import { linearCrossEntropy, linearCrossEntropyWeightBackward } from "./linear-cross-entropy.js";
import { matMul } from "./mat-mul.js";
import type { JsMemory } from "./memory.js";
import { rmsNorm, rmsNormBackward } from "./rms-norm.js";
import { ropeTable } from "./rope-table.js";
import { rope } from "./rope.js";
import { scaleRows } from "./scale-rows.js";
import { scale } from "./scale.js";
import { softCap } from "./soft-cap.js";
import { sumRows } from "./sum-rows.js";
import { sum } from "./sum.js";

type JsKernels = { readonly [K in KernelName]: (memory: JsMemory, args: KernelArgs<K>) => void };

export const jsKernels: JsKernels = {
  fill,
  copy,
  add,
  scale,
  scaleRows,
  softCap,
  sum,
  sumRows,
  argMax,
  matMul,
  embedding,
  embeddingBackward,
  rmsNorm,
  rmsNormBackward,
  layerNorm,
  layerNormBackward,
  ropeTable,
  rope,
  attention,
  attentionBackward,
  cacheRows,
  attentionCached,
  activation,
  activationBackward,
  loraDown,
  loraDownBackward,
  loraUpBackward,
  linearCrossEntropy,
  linearCrossEntropyWeightBackward,
  clipGradNorm,
  adamW,
};
