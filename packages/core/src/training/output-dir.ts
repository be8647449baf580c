import { constants, existsSync } from "node:fs";
import { access, mkdir, readdir, rm, stat } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { InputError, MANIFEST_FILE, writeError } from "@medgpt/artifacts";
import { readJsonObject } from "../json/read-json-object.js";
import { isLeftover, listCheckpoints, stepOf } from "./checkpoint-folders.js";
import { findCheckpoint } from "./checkpoints.js";
import { lockFolder, refuseLocked } from "./lock.js";
import { isUnsettled, settle } from "./replace.js";

export interface OutputDirFlags {
  readonly output_dir: string;
  readonly overwrite_output_dir: boolean;
  readonly resume_from_checkpoint: string | boolean | null;
}

/** @throws InputError when the folder that a flag names is a file or may not be written; it need not be there yet */
export async function checkFolder(flag: string, dir: string): Promise<void> {
  const found = await stat(dir).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new InputError(`--${flag}: the folder cannot be made (${cause.message})`, { place: dir, cause });
  });
  if (found?.isDirectory() === false)
    throw new InputError(`--${flag}: expected a folder, this is a file`, { place: dir });
  let there = resolve(dir);
  while (!existsSync(there)) there = dirname(there);
  await access(there, constants.W_OK).catch((error: unknown) => {
    throw writeError(error, dir);
  });
}

/** @throws InputError when the file that a flag names cannot be written when the run is over */
export async function checkNewFile(flag: string, path: string): Promise<void> {
  const isFolder = (found: string): Promise<boolean> =>
    stat(found).then(
      (info) => info.isDirectory(),
      () => false,
    );
  if (await isFolder(path)) throw new InputError(`--${flag}: expected a file, this is a folder`, { place: path });
  if (!(await isFolder(dirname(path))))
    throw new InputError(`--${flag}: the file cannot be written, because its folder is not there`, { place: path });
}

/**
 * Checks that a run may write into its output folder. What a killed run had decided there is carried out; nothing else is
 * touched. A folder with files in it needs --overwrite_output_dir, or a checkpoint of its own to go on from.
 * @param inputs folders that the run reads, which it must not remove
 * @returns a sentence on what the folder has of another run and will lose; undefined where that is nothing
 * @throws InputError when the folder is in use, by another run too, or there is no checkpoint to resume from
 */
export async function checkOutputDir(
  { output_dir: dir, overwrite_output_dir, resume_from_checkpoint }: OutputDirFlags,
  inputs: readonly (string | null)[] = [],
): Promise<string | undefined> {
  await checkFolder("output_dir", dir);
  await refuseLocked(dir);
  if (await isUnsettled(dir)) await locked(dir, () => settle(dir));
  const checkpoint = await findCheckpoint(dir, resume_from_checkpoint);
  if (!existsSync(dir)) return undefined;
  const after = stepHere(dir, checkpoint);
  if (after === undefined && !overwrite_output_dir && !(await readdir(dir)).every(isLeftover))
    throw new InputError(
      "--output_dir is not empty: give --overwrite_output_dir, --resume_from_checkpoint True, or another folder",
      { place: dir },
    );
  const kind = await manifestKind(dir);
  if (kind === "dataset" || kind === "tokenizer")
    throw new InputError(`--output_dir: this folder is a ${kind}, which a run would spoil; give another one`, {
      place: dir,
    });
  const doomed = (await listCheckpoints(dir)).filter(({ step }) => step > (after ?? 0));
  const read = inputs.filter((input) => input !== null);
  for (const input of read)
    if (resolve(input) === resolve(dir) || doomed.some((each) => isInside(input, each.dir)))
      throw new InputError(
        `--${after === undefined ? "overwrite_output_dir" : "resume_from_checkpoint"} would remove this folder, which the run reads; give another --output_dir`,
        { place: input },
      );
  if (after !== undefined)
    return doomed.length === 0
      ? undefined
      : `${dir} has ${list(doomed)}, later than the step that this run goes on from: removed when its own next checkpoint is whole`;
  const old = [...(kind === undefined ? [] : [`a finished ${kind}`]), ...(doomed.length === 0 ? [] : [list(doomed)])];
  if (old.length === 0) return undefined;
  const goOn = doomed.length === 0 ? "" : "; to go on with that run instead, add --resume_from_checkpoint True";
  return `${dir} has ${old.join(" and ")} of an earlier run: removed when the first checkpoint of this run, or its result, is whole${goOn}`;
}

/**
 * Makes the output folder ready, once `checkOutputDir` has let it pass, and locks it. What a killed run left half written
 * goes; what it finished stays until this run has something to put in its place.
 * @returns a function that unlocks the folder
 * @throws InputError when the folder cannot be made, or another run writes into it
 */
export async function prepareOutputDir(dir: string): Promise<() => Promise<void>> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    throw new InputError(`--output_dir: the folder cannot be made (${(cause as Error).message})`, {
      place: dir,
      cause,
    });
  }
  const before = await readdir(dir);
  const unlock = await lockFolder(dir);
  try {
    for (const name of before) if (isLeftover(name)) await rm(join(dir, name), { recursive: true, force: true });
    return unlock;
  } catch (error) {
    await unlock();
    throw error;
  }
}

/**
 * The step after which the checkpoints of an output folder are another run's than the one that goes on from `checkpoint`:
 * undefined where that is none of the folder's, so that they all are.
 */
export function stepHere(outputDir: string, checkpoint: string | undefined): number | undefined {
  if (checkpoint === undefined || dirname(resolve(checkpoint)) !== resolve(outputDir)) return undefined;
  return stepOf(checkpoint);
}

async function locked(dir: string, work: () => Promise<void>): Promise<void> {
  const unlock = await lockFolder(dir);
  await work().finally(unlock);
}

/** What the manifest says that the folder is; undefined where there is none. */
async function manifestKind(dir: string): Promise<string | undefined> {
  const damaged = (): Record<string, unknown> => ({});
  const manifest = await readJsonObject(join(dir, MANIFEST_FILE)).catch(damaged);
  return manifest && (typeof manifest["kind"] === "string" ? manifest["kind"] : "result");
}

function list(checkpoints: readonly { dir: string }[]): string {
  const names = checkpoints.map(({ dir }) => basename(dir));
  return names.length > 3 ? `${names.length} checkpoints up to ${names.at(-1)}` : names.join(", ");
}

function isInside(path: string, folder: string): boolean {
  const below = relative(resolve(folder), resolve(path));
  return !isAbsolute(below) && below.split(sep)[0] !== "..";
}
