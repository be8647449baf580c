import { listTextFiles, type TextFiles } from "../data/list-text-files.js";
import type { ResolvedDataset } from "../hub/resolve-dataset.js";
import { evaluates } from "./check-flags.js";
import type { StageFlags } from "./flags.js";

/** The files of a folder, or of a data set's split. */
export type Source = TextFiles & { readonly name: string };

/** Where data come from; undefined where there are none of the kind. */
export interface Sources {
  readonly train: Source | undefined;
  readonly validation: Source | undefined;
}

/**
 * The files to train and to evaluate on.
 * @param extensions those that the stage reads
 * @throws InputError for a missing or empty folder
 */
export async function findSources(
  config: Pick<StageFlags, "train_file_dir" | "validation_file_dir" | "dataset_name" | "do_eval" | "eval_strategy">,
  dataset: ResolvedDataset | undefined,
  extensions?: readonly string[],
): Promise<Sources> {
  const find = async (dir: string | null, split: "train" | "validation"): Promise<Source | undefined> => {
    if (dir !== null) return { name: dir, ...(await listTextFiles(dir, extensions)) };
    const files = dataset?.[split] ?? [];
    return files.length === 0 ? undefined : { name: `${config.dataset_name}, ${split}`, files, ignored: 0 };
  };
  return {
    train: await find(config.train_file_dir, "train"),
    validation: evaluates(config) ? await find(config.validation_file_dir, "validation") : undefined,
  };
}
