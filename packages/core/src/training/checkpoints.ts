/**
 * Checkpoints: written beside and renamed when complete, rotated, and continued from. The optimizer's moments are a
 * safetensors file of the parameters' names. How a checkpoint takes the place of another run's is in replace.ts.
 */
import { existsSync } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { InputError, syncFolder, writeError, writeFileAtomic } from "@medgpt/artifacts";
import { openSafetensors, writeSafetensors, type TensorToWrite } from "../checkpoint/safetensors.js";
import { describeJson, isJsonObject, readJsonObject } from "../json/read-json-object.js";
import type { ParameterArena } from "../nn/parameters.js";
import type { AdamW } from "../optim/adamw.js";
import { mapped, type Tensor } from "../tensor/tensor.js";
import { checkpointDir, isUnfinished, listCheckpoints, RANDOM_STATE, removeCheckpoint } from "./checkpoint-folders.js";
import { placeOver } from "./replace.js";
import { readTrainerState, stringifySorted, writeTrainerState, type TrainerState } from "./trainer-state.js";

/** What a checkpoint keeps of the run that saved it, for later runs to compare themselves with. */
export const RUN_RECORD = "training_args.json";

/** What must be the same for a run to continue bit for bit. */
export interface RandomState {
  readonly seed: number;
  readonly data_seed: number;
  /** Backend and instruction set that computed so far; others round differently. */
  readonly backend: string;
}

/** What the next logged row is the mean of, so far. */
export interface UnloggedLoss {
  /** Sum over the steps. */
  readonly loss: number;
  readonly steps: number;
}

/** What a checkpoint is made of, as long as the run goes. */
export interface Trained {
  readonly arena: ParameterArena;
  /** Writes the model or adapter into a folder. */
  readonly saveModel: (dir: string) => Promise<void>;
  /** Reads back what saveModel wrote. */
  readonly loadModel: (dir: string) => Promise<void>;
  /** What a checkpoint keeps of the run, as JSON; by default nothing. */
  readonly record?: () => unknown;
  /**
   * What is different from the run that saved a checkpoint and makes this one another, in a few words each; throws where
   * it cannot go on.
   */
  readonly compare?: (checkpoint: string) => Promise<string[]>;
}

/** Where a run is when it saves a checkpoint. */
export interface RunPosition {
  readonly state: TrainerState;
  readonly random: RandomState;
  readonly unlogged: UnloggedLoss;
  /** The place in the data, as JSON, where the step does not say it. */
  readonly data: unknown;
  /** Left out with --save_only_model. */
  readonly optimizer: AdamW | undefined;
}

/**
 * Writes `checkpoint-<step>` so that it is there completely or not at all, after a power failure too; returns its path.
 * @param after for the first checkpoint of a run: results, and checkpoints after this step, are another run's and make way
 */
export async function saveCheckpoint(
  outputDir: string,
  { arena, saveModel, record }: Trained,
  { state, random, unlogged, data, optimizer }: RunPosition,
  after?: number,
): Promise<string> {
  const dir = checkpointDir(outputDir, state.global_step);
  const aside = join(outputDir, `.checkpoint-${state.global_step}.partial`);
  await rm(aside, { recursive: true, force: true });
  try {
    await mkdir(outputDir, { recursive: true });
    await mkdir(aside);
    await saveModel(aside);
    if (optimizer !== undefined) {
      const entries = [
        momentEntries(arena, optimizer.expAvg, "exp_avg"),
        momentEntries(arena, optimizer.expAvgSq, "exp_avg_sq"),
      ].flat();
      await writeSafetensors(join(aside, "optimizer.safetensors"), entries, { step: String(optimizer.steps) });
    }
    await writeFileAtomic(join(aside, RANDOM_STATE), stringifySorted({ ...random, unlogged, data }, 2) + "\n");
    if (record !== undefined) await writeFileAtomic(join(aside, RUN_RECORD), stringifySorted(record(), 2) + "\n");
    await writeTrainerState(aside, state);
    if (after !== undefined) {
      await placeOver(outputDir, aside, basename(dir), after);
      return dir;
    }
    if (existsSync(dir)) await removeCheckpoint(dir);
    await rename(aside, dir);
    await syncFolder(outputDir);
  } catch (error) {
    // Best effort: what went wrong is thrown already.
    await rm(aside, { recursive: true, force: true }).catch(() => undefined);
    throw writeError(error, aside);
  }
  return dir;
}

/** Removes the oldest checkpoints beyond `limit`, never the one to keep. */
export async function rotateCheckpoints(
  outputDir: string,
  limit: number | null,
  keep: readonly (string | null)[],
): Promise<void> {
  if (limit === null || limit <= 0) return;
  const all = await listCheckpoints(outputDir);
  const removable = all.filter(({ dir }) => !keep.includes(dir));
  for (const { dir } of removable.slice(0, Math.max(0, all.length - limit))) await removeCheckpoint(dir);
}

/**
 * The checkpoint that --resume_from_checkpoint means: the newest of the output folder for true, a folder for a path.
 * @throws InputError when there is none
 */
export async function findCheckpoint(outputDir: string, resume: string | boolean | null): Promise<string | undefined> {
  if (resume === null || resume === false) return undefined;
  if (resume !== true) {
    if (!(await stat(resume).catch(() => undefined))?.isDirectory())
      throw new InputError("--resume_from_checkpoint: no such folder", { place: resume });
    if (isUnfinished(basename(resume)))
      throw new InputError("--resume_from_checkpoint: a killed run left this checkpoint unfinished; give another", {
        place: resume,
      });
    return resume;
  }
  const last = (await listCheckpoints(outputDir)).at(-1);
  if (last === undefined)
    throw new InputError(
      "--resume_from_checkpoint: there is no checkpoint-<step> folder to continue from; to start from the beginning, give --overwrite_output_dir in its place",
      { place: outputDir },
    );
  return last.dir;
}

/**
 * Loads optimizer and state of a checkpoint into a run; the weights are loaded with the model.
 * @returns the state, the loss that was not logged yet, the place in the data, and in a few words each difference that keeps the run from continuing bit for bit
 */
export async function resumeFrom(
  dir: string,
  arena: ParameterArena,
  optimizer: AdamW,
  random: RandomState,
): Promise<{ state: TrainerState; unlogged: UnloggedLoss; data: unknown; notes: string[] }> {
  const state = await readTrainerState(dir);
  const file = join(dir, "optimizer.safetensors");
  if (!existsSync(file))
    throw new InputError(
      "holds no optimizer.safetensors: it was saved with --save_only_model or by another program, and cannot be resumed from",
      { place: dir },
    );
  const { tensors, metadata } = await openSafetensors(file);
  const steps = Number(metadata["step"]);
  if (!Number.isSafeInteger(steps) || steps < 0)
    throw new InputError('expected the number of steps as "step" in the metadata', { place: file });
  for (const [kind, moments] of [
    ["exp_avg", optimizer.expAvg],
    ["exp_avg_sq", optimizer.expAvgSq],
  ] as const) {
    for (const parameter of arena.parameters) {
      const info = tensors.get(`${kind}.${parameter.name}`);
      if (info?.dtype !== "f32" || info.shape.join() !== parameter.shape.join())
        throw new InputError(
          `expected ${kind}.${parameter.name} as F32 (${parameter.shape.join(", ")}); the checkpoint is of another model or adapter`,
          { place: file },
        );
      const source = mapped(arena.values.backend, info.path, info.byteOffset, "f32", info.shape);
      const target = momentOf(arena, moments, parameter);
      source.backend.kernels.copy({ out: target, x: source, count: source.size });
      source.dispose();
      target.dispose();
    }
  }
  optimizer.steps = steps;
  const before = (await readJsonObject(join(dir, RANDOM_STATE))) ?? {};
  const notes = Object.entries(random)
    .filter(([key, value]) => before[key] !== value)
    .map(([key, value]) => `${key} was ${describeJson(before[key])} and is ${JSON.stringify(value)}`);
  return { state, unlogged: unloggedLoss(before["unlogged"]), data: before["data"], notes };
}

/** None where the checkpoint does not say. */
function unloggedLoss(value: unknown): UnloggedLoss {
  const { loss, steps } = (isJsonObject(value) ? value : {}) as { loss?: unknown; steps?: unknown };
  const sound = Number.isFinite(loss) && Number.isSafeInteger(steps) && (steps as number) >= 0;
  return sound ? { loss: loss as number, steps: steps as number } : { loss: 0, steps: 0 };
}

function momentEntries(arena: ParameterArena, moments: Tensor, kind: string): TensorToWrite[] {
  return arena.parameters.map((parameter) => ({
    name: `${kind}.${parameter.name}`,
    dtype: "f32",
    shape: parameter.shape,
    data: async () => {
      const part = momentOf(arena, moments, parameter);
      const bytes = await part.backend.readBytes(part, part.size);
      part.dispose();
      return bytes;
    },
  }));
}

/** The part of a moment arena that belongs to one parameter. */
function momentOf(arena: ParameterArena, moments: Tensor, parameter: Tensor): Tensor {
  return moments.view(parameter.shape, parameter.offset - arena.values.offset);
}
