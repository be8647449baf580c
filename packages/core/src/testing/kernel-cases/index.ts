/**
 * The shared tests' inputs: for every kernel in KERNELS a list of cases, in a file of its own. A backend runs each and is
 * compared with the js backend in double precision. Outputs that a kernel overwrites start as NaN, so that a left-over or a
 * gap shows.
 */
import type { KernelName } from "../../backends/kernels.js";
import { activationBackwardCases } from "./activation-backward.js";
import { activationCases } from "./activation.js";
import { adamWCases } from "./adam-w.js";
import { addCases } from "./add.js";
import { argMaxCases } from "./arg-max.js";
import { attentionBackwardCases } from "./attention-backward.js";
import { attentionCachedCases } from "./attention-cached.js";
import { attentionCases } from "./attention.js";
import { cacheRowsCases } from "./cache-rows.js";
import type { KernelCase } from "./case.js";
import { clipGradNormCases } from "./clip-grad-norm.js";
import { copyCases } from "./copy.js";
import { embeddingBackwardCases } from "./embedding-backward.js";
import { embeddingCases } from "./embedding.js";
import { fillCases } from "./fill.js";
import { layerNormBackwardCases } from "./layer-norm-backward.js";
import { layerNormCases } from "./layer-norm.js";
import { linearCrossEntropyWeightBackwardCases } from "./linear-cross-entropy-weight-backward.js";
import { linearCrossEntropyCases } from "./linear-cross-entropy.js";
import { loraDownBackwardCases } from "./lora-down-backward.js";
import { loraDownCases } from "./lora-down.js";
import { loraUpBackwardCases } from "./lora-up-backward.js";
import { matMulCases } from "./mat-mul.js";
import { rmsNormBackwardCases } from "./rms-norm-backward.js";
import { rmsNormCases } from "./rms-norm.js";
import { ropeTableCases } from "./rope-table.js";
import { ropeCases } from "./rope.js";
import { scaleRowsCases } from "./scale-rows.js";
import { scaleCases } from "./scale.js";
import { softCapCases } from "./soft-cap.js";
import { sumRowsCases } from "./sum-rows.js";
import { sumCases } from "./sum.js";

export { EXACT, expectedOf, f32ToF16, roundTo, type CaseBuffer, type KernelCase } from "./case.js";

export const KERNEL_CASES: { readonly [K in KernelName]: () => readonly KernelCase<K>[] } = {
  fill: fillCases,
  copy: copyCases,
  add: addCases,
  scale: scaleCases,
  scaleRows: scaleRowsCases,
  softCap: softCapCases,
  sum: sumCases,
  sumRows: sumRowsCases,
  argMax: argMaxCases,
  matMul: matMulCases,
  embedding: embeddingCases,
  embeddingBackward: embeddingBackwardCases,
  rmsNorm: rmsNormCases,
  rmsNormBackward: rmsNormBackwardCases,
  layerNorm: layerNormCases,
  layerNormBackward: layerNormBackwardCases,
  ropeTable: ropeTableCases,
  rope: ropeCases,
  attention: attentionCases,
  attentionBackward: attentionBackwardCases,
  cacheRows: cacheRowsCases,
  attentionCached: attentionCachedCases,
  activation: activationCases,
  activationBackward: activationBackwardCases,
  loraDown: loraDownCases,
  loraDownBackward: loraDownBackwardCases,
  loraUpBackward: loraUpBackwardCases,
  linearCrossEntropy: linearCrossEntropyCases,
  linearCrossEntropyWeightBackward: linearCrossEntropyWeightBackwardCases,
  clipGradNorm: clipGradNormCases,
  adamW: adamWCases,
};
