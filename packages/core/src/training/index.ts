export { averageGradients, broadcastTensor } from "./all-reduce.js";
export { loadBestModelAtEnd, noteEvaluation } from "./best-checkpoint.js";
export { createCadence, type Cadence, type Due } from "./cadence.js";
export { Checkpointer } from "./checkpointer.js";
export type { Trained } from "./checkpoints.js";
export { evaluate, type Measure } from "./evaluate.js";
export { Journal, type StepReport } from "./journal.js";
export { planMemory, planTraining, type MemoryTask } from "./memory-plan.js";
export {
  createOptimizerStep,
  type Draw,
  type Objective,
  type OptimizerStep,
  type OptimizerStepOptions,
} from "./optimizer-step.js";
export { checkFolder, checkNewFile, checkOutputDir, prepareOutputDir } from "./output-dir.js";
export { profileSteps } from "./profile-steps.js";
export { writeResults } from "./results.js";
export {
  batchesOfRows,
  batchesOfStream,
  type BatchStream,
  type Rows,
  type StepBatch,
  type StepBatches,
} from "./step-batches.js";
export { TensorBoardLog } from "./tensorboard-log.js";
export { createTensorBoardWriter, defaultLoggingDir, tensorBoardTag, type TensorBoardWriter } from "./tensorboard.js";
export { trainRows, type Tokens, type TrainingResult, type TrainingTask } from "./train-rows.js";
export { newTrainerState, writeTrainerState, type LogRow, type TrainerState } from "./trainer-state.js";
export type { Strategy, TrainingArguments } from "./training-arguments.js";
