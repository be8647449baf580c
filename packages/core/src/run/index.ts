export { inTurn, oneProcess, sumOver, type Communicator } from "./communicator.js";
export { counted } from "./counted.js";
export { openTogether, type Closable } from "./open-together.js";
export { createReporter } from "./report.js";
export type { RunContext, RunEvent } from "./run-context.js";
export { say } from "./say.js";
