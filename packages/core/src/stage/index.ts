export { checkFlags, evaluates, limits } from "./check-flags.js";
export { findSources, type Source, type Sources } from "./find-sources.js";
export { mainStageFlags, stageFlags, type StageFlags } from "./flags.js";
export { openModel, type OpenedModel, type OpenModelOptions } from "./open-model.js";
export { planStageMemory } from "./plan-memory.js";
export type { StageInfo, TrainedPaths } from "./save-artifact.js";
export { warnOfSmallEvaluation } from "./small-evaluation.js";
export { withSummary } from "./summary.js";
export { trainAndEvaluate, type Batches, type StageTask } from "./train-and-evaluate.js";
