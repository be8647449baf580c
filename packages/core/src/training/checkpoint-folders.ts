/**
 * The folders `checkpoint-<step>` of a run, found again by number. One loses its name before it is removed, so that one
 * with a name is complete whenever the process is killed.
 */
import { existsSync } from "node:fs";
import { readdir, rename, rm } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { syncFolder, UNFINISHED_FILE } from "@medgpt/artifacts";
import { isLock } from "./lock.js";

const NAME = /^checkpoint-(\d+)$/;
/** The file by which a checkpoint is one of ours. */
export const RANDOM_STATE = "rng_state.json";

export function checkpointDir(outputDir: string, step: number): string {
  return join(outputDir, `checkpoint-${step}`);
}

/** The number in the name of a checkpoint's folder; undefined where it has another name. */
export function stepOf(dir: string): number | undefined {
  const step = NAME.exec(basename(resolve(dir)))?.[1];
  return step === undefined ? undefined : Number(step);
}

/** The complete checkpoints of ours in a folder, ascending. A partly written one has another name. */
export async function listCheckpoints(outputDir: string): Promise<{ step: number; dir: string }[]> {
  const names = await readdir(outputDir).catch(() => []);
  return names
    .flatMap((name) => {
      const dir = join(outputDir, name);
      const step = stepOf(dir);
      return step !== undefined && existsSync(join(dir, RANDOM_STATE)) ? [{ step, dir }] : [];
    })
    .sort((a, b) => a.step - b.step);
}

/** Whether a folder has the name of one that is being written or removed. */
export function isUnfinished(name: string): boolean {
  return /^\.(checkpoint-\d+|result)\.(partial|removed)$/.test(name);
}

/** Whether a name in an output folder is that of something a killed run left half written or half removed, or its lock. */
export function isLeftover(name: string): boolean {
  return isUnfinished(name) || UNFINISHED_FILE.test(name) || isLock(name);
}

/** Removes a checkpoint, which at no moment can be taken for a complete one, after a power failure neither. */
export async function removeCheckpoint(dir: string): Promise<void> {
  const doomed = join(dirname(dir), `.${basename(dir)}.removed`);
  await rm(doomed, { recursive: true, force: true });
  await rename(dir, doomed);
  await syncFolder(dirname(dir));
  await rm(doomed, { recursive: true });
}
