import { join } from "node:path";
import { InputError, type HubOrigin } from "@medgpt/artifacts";
import type { HubConnection } from "./connection.js";
import { matching } from "./dataset-files.js";
import { isRepositoryId } from "./repository.js";
import { withSnapshot } from "./snapshot.js";

export interface ResolvedFiles {
  /** The folder of the snapshot in the cache. */
  readonly dir: string;
  /** Paths of the files of each split, in byte order for each pattern. */
  readonly splits: ReadonlyMap<string, readonly string[]>;
  readonly hub: HubOrigin;
}

/**
 * The files of a data set on the hub that somebody's own list names, in the cache; others are not fetched.
 * @param wanted names of files, or patterns as Python's datasets has them, for each split
 * @throws InputError where the data set cannot be had, or has no file for one of the patterns
 */
export async function resolveFiles(
  id: string,
  wanted: ReadonlyMap<string, readonly string[]>,
  connection: HubConnection,
): Promise<ResolvedFiles> {
  if (!isRepositoryId(id)) throw new InputError('expected the "owner/name" of a data set on the hub', { place: id });
  return withSnapshot({ type: "dataset", id, revision: "main", connection }, async ({ dir, commit, paths, fetch }) => {
    const sorted = [...paths].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    const found = [...wanted].map(([split, patterns]) => {
      const missing = patterns.find((pattern) => matching(sorted, [pattern]).length === 0);
      if (missing !== undefined)
        throw new InputError(`expected the file ${missing} (split ${split}), and the data set has none such`, {
          place: id,
        });
      return [split, matching(sorted, patterns)] as const;
    });
    await fetch([...new Set(found.flatMap(([, files]) => files))]);
    const splits = new Map(found.map(([split, files]) => [split, files.map((file) => join(dir, file))]));
    return { dir, splits, hub: { id, commit } };
  });
}
