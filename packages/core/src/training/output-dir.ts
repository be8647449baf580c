import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError, MANIFEST_FILE } from "@medgpt/artifacts";
import { listCheckpoints } from "./checkpoints.js";

export interface OutputDirFlags {
  readonly output_dir: string;
  readonly overwrite_output_dir: boolean;
  readonly resume_from_checkpoint: string | boolean | null;
}

/**
 * Makes the output folder ready. A folder with files in it needs --overwrite_output_dir or --resume_from_checkpoint.
 * Overwriting removes the checkpoints of the run before, and nothing else; the manifest goes in both cases, since the
 * folder is not complete until it is written anew.
 * @throws InputError when the folder is in use or cannot be written
 */
export async function prepareOutputDir({
  output_dir: dir,
  overwrite_output_dir,
  resume_from_checkpoint,
}: OutputDirFlags): Promise<void> {
  const found = await stat(dir).catch(() => undefined);
  if (found !== undefined && !found.isDirectory())
    throw new InputError("--output_dir: expected a folder, this is a file", { place: dir });
  try {
    await mkdir(dir, { recursive: true });
  } catch (cause) {
    throw new InputError(`--output_dir: the folder cannot be made (${(cause as Error).message})`, {
      place: dir,
      cause,
    });
  }
  const entries = await readdir(dir);
  const resuming = resume_from_checkpoint !== null && resume_from_checkpoint !== false;
  if (entries.length > 0 && !overwrite_output_dir && !resuming)
    throw new InputError(
      "--output_dir is not empty: give --overwrite_output_dir, --resume_from_checkpoint True, or another folder",
      { place: dir },
    );
  if (!resuming) for (const checkpoint of await listCheckpoints(dir)) await rm(checkpoint.dir, { recursive: true });
  for (const name of entries.filter((name) => /^\.checkpoint-\d+\.partial$/.test(name)))
    await rm(join(dir, name), { recursive: true });
  await rm(join(dir, MANIFEST_FILE), { force: true });
}
