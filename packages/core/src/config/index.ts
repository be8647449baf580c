export {
  accepted,
  commandFlags,
  fieldsOf,
  flag,
  mainFlags,
  orderedByTopic,
  positional,
  refused,
  required,
  topic,
} from "./schema.js";
export { parseFlags } from "./flags.js";
export { nearestName } from "./nearest-name.js";
export { updateOptionTable, withOptionTable } from "./table.js";
export {
  adapterFlag,
  hubFlags,
  modelFlag,
  modelOrTokenizerFlag,
  onlyTokenizerFlag,
  requiredAdapterFlag,
  ropeScalingFlag,
  tokenizerFlag,
} from "./model-flags.js";
export { readPackage } from "./read-package.js";
export { torchDtype } from "./precision.js";
export { threadsFlag } from "./threads-flag.js";
export type { Command, CommandIo } from "./run-command.js";
export { runGroup } from "./run-group.js";
export type { CommandEntry, CommandGroup } from "./run-group.js";
export { runBin } from "./run-bin.js";
