export { openSafetensors, writeSafetensors } from "./safetensors.js";
export { parseShardSize } from "./write-checkpoint.js";
