import type { RunContext } from "./run-context.js";

/** Reports a line of text. */
export function say({ log }: Pick<RunContext, "log">, text: string, level: "info" | "warn" = "info"): void {
  log({ type: "message", level, text });
}
