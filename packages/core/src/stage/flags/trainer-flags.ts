import { evaluationFlags, loggingFlags, savingFlags } from "./cadence-flags.js";
import { optimizerFlags } from "./optimizer-flags.js";
import { precisionFlags } from "./precision-flags.js";
import { runFlags } from "./run-flags.js";

/** How the trainer runs, in the order of --help. */
export const trainerFlags = {
  ...runFlags,
  ...optimizerFlags,
  ...precisionFlags,
  ...loggingFlags,
  ...evaluationFlags,
  ...savingFlags,
};
