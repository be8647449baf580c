/** The checkpoints of one run: the one that it goes on from, and those that it writes and keeps. */
import { InputError } from "@medgpt/artifacts";
import type { Backend } from "../backends/backend.js";
import type { AdamW } from "../optim/adamw.js";
import { oneProcess, type Communicator } from "../run/communicator.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { broadcastTensor } from "./all-reduce.js";
import { noteCheckpoint, type BestArguments } from "./best-checkpoint.js";
import { checkpointDir, listCheckpoints, removeCheckpoint } from "./checkpoint-folders.js";
import { findCheckpoint, resumeFrom, rotateCheckpoints, saveCheckpoint } from "./checkpoints.js";
import type { RandomState, Trained, UnloggedLoss } from "./checkpoints.js";
import type { Journal } from "./journal.js";
import { stepHere } from "./output-dir.js";
import type { StepBatches } from "./step-batches.js";
import type { TrainerState } from "./trainer-state.js";
import type { TrainingArguments } from "./training-arguments.js";

type CheckpointArguments = BestArguments &
  Pick<TrainingArguments, "resume_from_checkpoint" | "save_only_model" | "save_total_limit" | "seed" | "data_seed">;

export class Checkpointer {
  /** Checkpoints in the output folder after this step are another run's. */
  ownUpTo = 0;
  /** What this run does differently from the one that it goes on from; empty where there is none. */
  readonly differences: string[] = [];
  /** The step of the newest checkpoint, one that was resumed from included. */
  #lastSaved: number | undefined;
  #hasSaved = false;
  /** The place in the data after the last whole step. */
  #place: unknown;
  readonly #random: RandomState;
  readonly #communicator: Communicator;
  /** Whether this process writes the files. */
  readonly #isFirst: boolean;

  constructor(
    private readonly trained: Trained,
    private readonly optimizer: AdamW,
    private readonly batches: Pick<StepBatches<unknown>, "maxSteps" | "state" | "restore">,
    private readonly args: CheckpointArguments,
    private readonly context: RunContext,
  ) {
    const { seed, data_seed } = args;
    this.#random = { seed, data_seed: data_seed ?? seed, backend: arithmeticOf(trained.arena.values.backend) };
    this.#place = batches.state();
    this.#communicator = context.communicator ?? oneProcess;
    this.#isFirst = this.#communicator.rank === 0;
  }

  /** Loads the checkpoint that --resume_from_checkpoint names: weights, optimizer and place in the data; undefined for none. */
  async resume(): Promise<{ readonly state: TrainerState; readonly unlogged: UnloggedLoss } | undefined> {
    const { trained, optimizer, batches, args, context } = this;
    const checkpoint = await findCheckpoint(args.output_dir, args.resume_from_checkpoint);
    if (checkpoint !== undefined) {
      this.differences.push(...((await trained.compare?.(checkpoint)) ?? []));
      await trained.loadModel(checkpoint);
    }
    await broadcastTensor(this.#communicator, trained.arena.values);
    if (checkpoint === undefined) return undefined;
    const { state, unlogged, data, notes } = await resumeFrom(checkpoint, trained.arena, optimizer, this.#random);
    await batches.restore(data).catch((cause: unknown) => {
      if (!(cause instanceof InputError) || cause.place !== undefined) throw cause;
      throw new InputError(cause.message, { place: checkpoint, cause });
    });
    this.#place = batches.state();
    this.differences.push(...notes);
    this.ownUpTo = stepHere(args.output_dir, checkpoint) ?? 0;
    this.#lastSaved = state.global_step === 0 ? undefined : state.global_step;
    const left = batches.maxSteps - state.global_step;
    const different = this.differences.join("; ");
    if (different !== "" && left > 0)
      say(context, `${checkpoint}: ${different}: the run continues, but not as it would have`, "warn");
    say(context, `continuing from ${checkpoint} at step ${state.global_step} of ${batches.maxSteps}`);
    const idle = different === "" ? "" : `, and what is different has no effect (${different})`;
    if (left <= 0)
      say(context, `nothing is left to train${idle}; to train longer, raise --max_steps or --num_train_epochs`, "warn");
    return { state, unlogged };
  }

  /** To be called after every step, before the next micro-batches are taken. */
  stepped(): void {
    this.#place = this.batches.state();
  }

  /** Writes a checkpoint of the last whole step, unless there is one. Process 0 does, and the others wait for it. */
  async save(journal: Journal): Promise<void> {
    noteCheckpoint(journal.state, this.args);
    await this.#communicator.barrier();
    await this.#write(journal);
    await this.#communicator.barrier();
  }

  /** The same for a run that is stopped, whose other processes may have stopped at another step. */
  async saveLast(journal: Journal): Promise<void> {
    if (journal.state.global_step === 0 || this.#lastSaved === journal.state.global_step) return;
    noteCheckpoint(journal.state, this.args);
    await this.#write(journal);
  }

  async #write({ state, unlogged }: Journal): Promise<void> {
    const { args, trained, context } = this;
    // The first one takes the place of what another run left; from then on all of the folder is this run's.
    const after = this.#hasSaved ? undefined : this.ownUpTo;
    const { output_dir, save_total_limit: limit } = args;
    const optimizer = args.save_only_model ? undefined : this.optimizer;
    const position = { state, random: this.#random, unlogged, data: this.#place, optimizer };
    const dir = this.#isFirst ? await saveCheckpoint(output_dir, trained, position, after) : undefined;
    this.#hasSaved = true;
    this.#lastSaved = this.ownUpTo = state.global_step;
    if (dir === undefined) return;
    context.log({ type: "saved", path: dir, what: "checkpoint" });
    await rotateCheckpoints(output_dir, limit, [dir, state.best_model_checkpoint]);
  }

  /** Removes what --save_total_limit lets go at the end of a run: the newest checkpoint too, where the best is another. */
  async end({ best_model_checkpoint: best }: TrainerState): Promise<void> {
    const { output_dir: dir, save_total_limit: limit } = this.args;
    await this.#communicator.barrier();
    if (!this.#isFirst) return;
    // A run that was killed between its last checkpoint and the removal of an older one goes on here.
    if (this.ownUpTo > 0) await rotateCheckpoints(dir, limit, [checkpointDir(dir, this.ownUpTo), best]);
    if (best === null || limit !== 1) return;
    for (const checkpoint of await listCheckpoints(dir))
      if (checkpoint.dir !== best) await removeCheckpoint(checkpoint.dir);
  }
}

/** Backend and instruction set as checkpoints record them. Threads are left out: they change no bit. */
function arithmeticOf({ name, description }: Backend): string {
  return `${name} (${description.replace(/, \d+ threads?$/, "")})`;
}
