export { counted } from "./counted.js";
export { createReporter, type Reporter } from "./report.js";
export type { RunContext, RunEvent } from "./run-context.js";
