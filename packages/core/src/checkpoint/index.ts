export { openSafetensors, readTensorData, writeSafetensors } from "./safetensors.js";
export { parseShardSize } from "./write-checkpoint.js";
