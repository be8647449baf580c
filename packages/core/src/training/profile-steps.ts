import { writeFileAtomic } from "@medgpt/artifacts";
import { chromeTrace, profileSummary } from "../backends/profile.js";
import type { Backend } from "../backends/backend.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";

/** Optimizer steps that are recorded, after a first one that warms up. */
const STEPS = 3;

/**
 * Records the kernels of a few steps of a run that reports to the context returned.
 * @returns the context, and a function that writes the trace and reports the summary when the run is over
 */
export function profileSteps(
  backend: Backend,
  file: string | null,
  context: RunContext,
): { context: RunContext; finish: () => Promise<void> } {
  if (file === null) return { context, finish: () => Promise.resolve() };
  let begun = 0;
  let events: ReturnType<NonNullable<Backend["profile"]>> = [];
  const log: RunContext["log"] = (event) => {
    if (event.type === "step") {
      begun ||= event.step;
      if (event.step === begun) backend.profile?.(true);
      if (event.step === begun + STEPS) events = backend.profile?.(false) ?? [];
    }
    context.log(event);
  };
  const finish = async (): Promise<void> => {
    if (events.length === 0) events = backend.profile?.(false) ?? [];
    await writeFileAtomic(file, chromeTrace(events));
    const text =
      events.length === 0
        ? "nothing was recorded: the native backend does it, from the second step on"
        : profileSummary(events);
    say(context, `profile in ${file}\n${text}`);
  };
  return { context: { ...context, log }, finish };
}
