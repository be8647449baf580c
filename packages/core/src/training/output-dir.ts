import { constants, existsSync } from "node:fs";
import { access, mkdir, readdir, rm, stat } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { InputError, MANIFEST_FILE, writeError } from "@medgpt/artifacts";
import { findCheckpoint, isLeftover, listCheckpoints, removeCheckpoint } from "./checkpoints.js";

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
 * Checks that a run may write into its output folder, and touches nothing. A folder with files in it needs
 * --overwrite_output_dir or --resume_from_checkpoint.
 * @param inputs folders that the run reads, which overwriting must not remove
 * @throws InputError when the folder is in use or there is no checkpoint to resume from
 */
export async function checkOutputDir(
  { output_dir: dir, overwrite_output_dir, resume_from_checkpoint }: OutputDirFlags,
  inputs: readonly (string | null)[] = [],
): Promise<void> {
  await checkFolder("output_dir", dir);
  if ((await findCheckpoint(dir, resume_from_checkpoint)) !== undefined || !existsSync(dir)) return;
  if (!overwrite_output_dir && !(await readdir(dir)).every(isLeftover))
    throw new InputError(
      "--output_dir is not empty: give --overwrite_output_dir, --resume_from_checkpoint True, or another folder",
      { place: dir },
    );
  for (const checkpoint of await listCheckpoints(dir))
    for (const input of inputs)
      if (input !== null && isInside(input, checkpoint.dir))
        throw new InputError(
          "--overwrite_output_dir would remove this folder, which the run reads; give another --output_dir",
          {
            place: input,
          },
        );
}

/**
 * Makes the output folder ready, once `checkOutputDir` has let it pass. The manifest goes first, since the folder is not
 * complete until it is written anew. Overwriting removes the checkpoints of the run before, and nothing else; what a
 * killed run left half written goes in both cases.
 * @throws InputError when the folder cannot be made
 */
export async function prepareOutputDir({ output_dir: dir, resume_from_checkpoint }: OutputDirFlags): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    throw new InputError(`--output_dir: the folder cannot be made (${(cause as Error).message})`, {
      place: dir,
      cause,
    });
  }
  await rm(join(dir, MANIFEST_FILE), { force: true });
  const resuming = resume_from_checkpoint !== null && resume_from_checkpoint !== false;
  if (!resuming) for (const checkpoint of await listCheckpoints(dir)) await removeCheckpoint(checkpoint.dir);
  for (const name of await readdir(dir)) if (isLeftover(name)) await rm(join(dir, name), { recursive: true });
}

function isInside(path: string, folder: string): boolean {
  const below = relative(resolve(folder), resolve(path));
  return !isAbsolute(below) && below.split(sep)[0] !== "..";
}
