import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import type { RunContext } from "../run/run-context.js";
import type { StageFlags } from "./flags.js";
import type { OpenedModel } from "./open-model.js";
import type { StageInfo } from "./stage-info.js";

/**
 * Trains with a context that watches the steps, and reports what came of them: a summary with the command to try next.
 * Nothing is reported where no step was trained.
 */
export async function withSummary<T extends AdapterArtifact | CausalLmArtifact | undefined>(
  { base }: Pick<OpenedModel, "base">,
  { output_dir, template_name = null }: Pick<StageFlags, "output_dir"> & { readonly template_name?: string | null },
  stage: StageInfo,
  context: RunContext,
  run: (context: RunContext) => Promise<T>,
): Promise<T> {
  const begin = performance.now();
  let [steps, tokens, seconds, firstLoss, lastLoss] = [0, 0, 0, NaN, NaN];
  const log: RunContext["log"] = (event) => {
    if (event.type === "step") {
      if (steps++ === 0) firstLoss = event.loss;
      lastLoss = event.loss;
      tokens += event.tokensPerSecond * event.seconds;
      seconds += event.seconds;
    }
    context.log(event);
  };
  const artifact = await run({ ...context, log });
  if (artifact === undefined || steps === 0) return artifact;
  const isAdapter = artifact.kind === "adapter";
  const next = stage.next({ base: base.path, output: output_dir, isAdapter, template: template_name });
  context.log({
    type: "summary",
    steps,
    seconds: (performance.now() - begin) / 1000,
    firstLoss,
    lastLoss,
    tokensPerSecond: tokens / seconds,
    peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
    what: isAdapter ? "adapter" : "model",
    path: output_dir,
    next: ["npx", "medgpt", ...next].map(shellWord).join(" "),
  });
  return artifact;
}

/** A word as a shell takes it. */
function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
