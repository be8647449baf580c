export {
  inverseFrequencies,
  optionalBool,
  optionalInt,
  optionalNumber,
  optionalString,
  readHfConfig,
  requireInt,
  ropeParameters,
  ropeReach,
  storedTorchDtype,
  tieWordEmbeddings,
  type HfConfig,
  type RopeParameters,
} from "./hf-config.js";
export { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
export {
  loadableDType,
  openSafetensors,
  readTensorData,
  weightDType,
  writeSafetensors,
  type SafetensorsFile,
  type TensorInfo,
  type TensorToWrite,
} from "./safetensors.js";
export { openCheckpoint, type Checkpoint } from "./shards.js";
export { parseShardSize, splitIntoShards, writeCheckpoint } from "./write-checkpoint.js";
