export { counted } from "./counted.js";
export { createReporter } from "./report.js";
export type { RunContext, RunEvent } from "./run-context.js";
