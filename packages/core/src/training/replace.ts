/**
 * How a run takes the place of another in a folder: whole, at one moment, whenever the process is killed.
 *
 * What is new is written aside (`.checkpoint-8.partial`, `.result.partial`) and then renamed to `.checkpoint-8.after-4` or
 * `.result.after-4`. That is the moment: before it the old run is there as it was, after it the new one is, and all that
 * is missing is carried out by `settle`, at once or when the next run begins. The name says it all: the old result goes,
 * and so do the checkpoints after step 4; then the new one takes its place. What a killed process leaves in the folder:
 *
 * | killed                                  | result                                     | checkpoints                                   |
 * | --------------------------------------- | ------------------------------------------ | --------------------------------------------- |
 * | before the first checkpoint is whole    | the old one, whole                         | the old ones                                  |
 * | while that takes the old ones' place    | the old one, whole or refused, or none     | the new one, as .checkpoint-8.after-4, and old ones |
 * | until the result is whole               | none; opening it names the newest checkpoint | those of this run, and those that it goes on from |
 * | while the result is put in its place    | refused: it is whole in .result.*          | likewise                                      |
 * | afterwards                              | the new one                                | likewise                                      |
 *
 * A run that goes on from checkpoint-4 of the same folder keeps the checkpoints up to it; one that begins anew, or goes on
 * from elsewhere, none. A result without a manifest, of another program or an earlier version, is taken for what it is
 * until the first checkpoint is whole; then its files go whose names the checkpoint has too.
 */
import { existsSync } from "node:fs";
import { readdir, rename, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { MANIFEST_FILE, syncFolder } from "@medgpt/artifacts";
import { listCheckpoints, removeCheckpoint } from "./checkpoint-folders.js";
import { filesOfResult, removeResult } from "./remove-result.js";

const DECIDED = /^\.(checkpoint-\d+|result)\.after-(\d+)$/;
/** A result for which the old one has made way. Its files move one by one. */
const MOVING = ".result.moving";

/** The folder in which a result is written. */
export const RESULT_FOLDER = ".result.partial";

/**
 * Puts a folder that is whole in the place of what another run left.
 * @param aside the folder
 * @param name `checkpoint-<step>`, or "result" for one whose files go into `outputDir`
 * @param after the checkpoints after this step make way
 */
export async function placeOver(outputDir: string, aside: string, name: string, after: number): Promise<void> {
  if (name !== "result" && (await isFree(outputDir, aside, name, after))) {
    await rename(aside, join(outputDir, name));
    return syncFolder(outputDir);
  }
  await rename(aside, join(outputDir, `.${name}.after-${after}`));
  await syncFolder(outputDir);
  await settle(outputDir);
}

/** Whether there is nothing to make way for a checkpoint. */
async function isFree(outputDir: string, aside: string, name: string, after: number): Promise<boolean> {
  const isLater = (await listCheckpoints(outputDir)).some(({ step }) => step > after);
  return !isLater && !existsSync(join(outputDir, name)) && (await filesOfResult(outputDir, aside)).length === 0;
}

/** Whether a killed process left something for `settle` to do. */
export async function isUnsettled(outputDir: string): Promise<boolean> {
  return (await readdir(outputDir).catch(() => [])).some((name) => DECIDED.test(name) || name === MOVING);
}

/** Carries out what `placeOver` decided. Can be killed and called again. */
export async function settle(outputDir: string): Promise<void> {
  for (const folder of await readdir(outputDir)) {
    const [, name, after] = DECIDED.exec(folder) ?? [];
    if (name === undefined) continue;
    await removeResult(outputDir, join(outputDir, folder));
    for (const { step, dir } of await listCheckpoints(outputDir)) if (step > Number(after)) await removeCheckpoint(dir);
    const place = join(outputDir, name === "result" ? MOVING : name);
    if (existsSync(place)) await removeCheckpoint(place);
    await rename(join(outputDir, folder), place);
    await syncFolder(outputDir);
  }
  if (existsSync(join(outputDir, MOVING))) await moveFiles(join(outputDir, MOVING), outputDir);
}

/** The manifest goes first: it refuses the others until all are there. */
async function moveFiles(from: string, to: string): Promise<void> {
  const names = await readdir(from);
  const first = names.filter((name) => name === MANIFEST_FILE);
  for (const name of new Set([...first, ...names])) await rename(join(from, name), join(to, name));
  await syncFolder(to);
  await rmdir(from);
}
