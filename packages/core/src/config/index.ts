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
export type { Field, FlagClass, FlagInfo, FlagKind } from "./schema.js";
export { asksForHelp, parseFlags } from "./flags.js";
export type { ParsedFlags, ParseOptions } from "./flags.js";
export { nearestName } from "./nearest-name.js";
export { helpText, optionTable, updateOptionTable, withOptionTable } from "./table.js";
export type { HelpOptions } from "./table.js";
export {
  adapterFlag,
  modelFlag,
  modelOrTokenizerFlag,
  onlyTokenizerFlag,
  peftPathFlag,
  requiredAdapterFlag,
  tokenizerFlag,
} from "./model-flags.js";
export { resolvePrecision, torchDtype } from "./precision.js";
export type { Precision, PrecisionFlags } from "./precision.js";
export { threadsFlag } from "./threads-flag.js";
export { describeFailure, runCommand } from "./run-command.js";
export type { Command, CommandIo } from "./run-command.js";
export { runGroup } from "./run-group.js";
export type { CommandEntry, CommandGroup } from "./run-group.js";
export { runBin } from "./run-bin.js";
