export { loadBestModelAtEnd, noteEvaluation } from "./best-checkpoint.js";
export { createCadence, type Cadence, type Due } from "./cadence.js";
export { Checkpointer } from "./checkpointer.js";
export type { Trained } from "./checkpoints.js";
export { evaluate, type Measure } from "./evaluate.js";
export { Journal, type StepReport } from "./journal.js";
export type { LossAndGradient, OnHost } from "./on-host.js";
export {
  createOptimizerStep,
  type Draw,
  type Objective,
  type OptimizerStep,
  type OptimizerStepOptions,
} from "./optimizer-step.js";
export { checkFolder } from "./output-dir.js";
export { batchesOfRows, batchesOfStream, type BatchStream, type Rows, type StepBatches } from "./step-batches.js";
export { trainRows, type Tokens, type TrainingResult, type TrainingTask } from "./train-rows.js";
export { newTrainerState, type TrainerState } from "./trainer-state.js";
export type { TrainingArguments } from "./training-arguments.js";
