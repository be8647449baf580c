import type { AdapterArtifact, CausalLmArtifact } from "@medgpt/artifacts";
import type { z } from "zod";
import type { RunContext } from "../run/run-context.js";

/** What the files that a stage writes say of it. */
export interface StageInfo {
  /** The package.json of its package. */
  readonly packageJson: URL;
  /** As a heading: "Continued pretraining". */
  readonly title: string;
  /** Its tag on the hub. */
  readonly tag: string;
  readonly schema: z.ZodObject;
  /** The command that a user may try on what was trained: the words after `npx medgpt`. */
  readonly next: (trained: TrainedPaths) => readonly string[];
}

/** Where a run's base and its result are. */
export interface TrainedPaths {
  readonly base: string;
  readonly output: string;
  readonly isAdapter: boolean;
  /** The --template_name of the run. */
  readonly template: string | null;
}

/**
 * Trains a model as a configuration says, and writes an adapter (or, with use_peft false, the whole model) into its
 * output_dir.
 * @param options.given the fields that the user set, which an adapter at peft_path must not contradict
 * @returns the artifact; undefined when only evaluating
 * @throws InputError for unusable input; AbortError when the context's signal aborts, after saving a checkpoint
 */
export type RunStage<Config> = (
  config: Config,
  context: RunContext,
  options?: { readonly given?: ReadonlySet<string> },
) => Promise<AdapterArtifact | CausalLmArtifact | undefined>;
