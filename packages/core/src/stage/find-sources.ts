import { realpath, stat } from "node:fs/promises";
import { fileDigest } from "@medgpt/artifacts";
import { listTextFiles, type TextFiles } from "../data/files/list-text-files.js";
import type { ResolvedDataset } from "../hub/resolve-dataset.js";
import type { RunContext } from "../run/run-context.js";
import { say } from "../run/say.js";
import { evaluates } from "./check-flags.js";
import type { StageFlags } from "./flags.js";

/** The files of a folder, or of a data set's split. `name` says which it is, where there are both to train and to evaluate on. */
export type Source = TextFiles & { readonly name: string };

/** Where data come from; undefined where there are none of the kind. */
export interface Sources {
  readonly train: Source | undefined;
  readonly validation: Source | undefined;
}

/**
 * The files to train and to evaluate on. Says so where some of them are the same.
 * @param extensions those that the stage reads
 * @throws InputError for a missing or empty folder
 */
export async function findSources(
  config: Pick<
    StageFlags,
    "train_file_dir" | "validation_file_dir" | "dataset_name" | "do_train" | "do_eval" | "eval_strategy"
  >,
  dataset: ResolvedDataset | undefined,
  context: RunContext,
  extensions?: readonly string[],
): Promise<Sources> {
  const validationDir = evaluates(config) ? config.validation_file_dir : null;
  const find = async (dir: string | null, split: "train" | "validation"): Promise<Source | undefined> => {
    if (dir !== null) {
      const name = config.train_file_dir === null || validationDir === null ? dir : `${dir}, ${split}`;
      return { name, ...(await listTextFiles(dir, extensions)) };
    }
    const files = dataset?.[split] ?? [];
    return files.length === 0 ? undefined : { name: `${config.dataset_name}, ${split}`, files, ignored: 0 };
  };
  const train = await find(config.train_file_dir, "train");
  const validation = evaluates(config) ? await find(validationDir, "validation") : undefined;
  if (config.do_train && train !== undefined && validation !== undefined) {
    const shared = await sharedFiles(train.files, validation.files);
    const [first] = shared;
    const which = shared.length === validation.files.length ? "the files" : `${shared.length} of the files`;
    const text = `${which} to evaluate on are files that are trained on (${first}${shared.length > 1 ? ", …" : ""}): eval_loss will say how well they are remembered, not how the model does on new text; leave --validation_file_dir out to set some text aside`;
    if (first !== undefined) say(context, text, "warn");
  }
  return { train, validation };
}

/** Those of `files` that are among `others`, by name, through links or as copies. */
async function sharedFiles(others: readonly string[], files: readonly string[]): Promise<string[]> {
  const paths = new Set<string>();
  const bySize = new Map<number, string[]>();
  for (const other of others) {
    paths.add(await realpath(other));
    const { size } = await stat(other);
    bySize.set(size, [...(bySize.get(size) ?? []), other]);
  }
  const shared: string[] = [];
  for (const file of files) {
    if (paths.has(await realpath(file))) {
      shared.push(file);
      continue;
    }
    // Only files of one size are worth reading; what is read is remembered.
    const alike = bySize.get((await stat(file)).size) ?? [];
    for (const other of alike) {
      if ((await fileDigest(file)) !== (await fileDigest(other))) continue;
      shared.push(file);
      break;
    }
  }
  return shared;
}
